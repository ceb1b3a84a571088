//! An in-process proxy that resolves every name to this machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{SOON, spawn};

/// Speaks both CONNECT and SOCKS5 without credentials. Dropping it ends its listener.
pub(super) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    targets: Mutex<Vec<String>>,
    refusal: Mutex<Option<&'static str>>,
    over: AtomicBool,
}

impl Relay {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let sharing = Arc::clone(&shared);
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sharing.over.load(Ordering::SeqCst) {
                    return;
                }
                let sharing = Arc::clone(&sharing);
                spawn(move || {
                    // Errors of a connection end it only.
                    let _ = serve(stream, &sharing);
                });
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// The requested targets, in order.
    pub(super) fn targets(&self) -> Vec<String> {
        self.shared.targets.lock().unwrap().clone()
    }

    /// Sends this response to the next CONNECT.
    pub(super) fn refuse(&self, response: &'static str) {
        *self.shared.refusal.lock().unwrap() = Some(response);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, SOON);
    }
}

fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut first = [0];
    client.read_exact(&mut first)?;
    let (target, response) = match first {
        [5] => (take_socks(&mut client)?, &b"\x05\0\0\x01\0\0\0\0\0\0"[..]),
        _ => {
            let mut head = first.to_vec();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte)?;
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
            (target.to_owned(), &b"HTTP/1.1 200 Connection established\r\n\r\n"[..])
        }
    };
    let refusal = shared.refusal.lock().unwrap().take();
    if let Some(refusal) = refusal {
        return client.write_all(refusal.as_bytes());
    }
    let port = target.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    shared.targets.lock().unwrap().push(target);
    let server = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), SOON)?;
    client.write_all(response)?;
    let back = (server.try_clone()?, client.try_clone()?);
    spawn(move || pump(back.0, back.1));
    pump(client, server);
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

fn take_socks(client: &mut TcpStream) -> io::Result<String> {
    fn take(client: &mut TcpStream, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        client.read_exact(&mut bytes)?;
        Ok(bytes)
    }
    let methods = take(client, 1)?[0];
    take(client, methods.into())?;
    client.write_all(b"\x05\0")?;
    let kind = take(client, 4)?[3];
    let host = match kind {
        1 => {
            let [a, b, c, d] = take(client, 4)?[..] else { unreachable!() };
            Ipv4Addr::new(a, b, c, d).to_string()
        }
        _ => {
            let length = take(client, 1)?[0];
            String::from_utf8(take(client, length.into())?).unwrap()
        }
    };
    let port = take(client, 2)?;
    Ok(format!("{host}:{}", u16::from_be_bytes([port[0], port[1]])))
}

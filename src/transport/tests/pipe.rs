//! A connection for a library that reads and writes by itself.

use std::io;

use super::*;
use crate::transport::{Pipe, Resolver, Route};

/// A connection on which there is always something to read, and room to write.
fn busy(interrupt: &Interrupt) -> (Pipe, mpsc::Receiver<()>) {
    let (address, peer) = raw_peer(|mut stream| {
        stream.write_all(&[b'x'; 1000]).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let host = address.ip().to_string();
    let route = Route { host: &host, port: address.port(), proxy: None };
    let mut pipe = Pipe::open(&route, None, &Resolver::default(), soon(), interrupt).unwrap();
    assert!(pipe.read(&mut [0], soon()).unwrap() == 1);
    pipe.write_all(b"x", soon()).unwrap();
    (pipe, peer)
}

#[test]
fn busy_pipe_can_be_interrupted() {
    let interrupt = Interrupt::default();
    let (mut pipe, _peer) = busy(&interrupt);
    interrupt.interrupt();
    for error in
        [pipe.read(&mut [0], soon()).unwrap_err(), pipe.write_all(b"x", soon()).unwrap_err()]
    {
        let error = error.get_ref().unwrap().to_string();
        assert_eq!(error, "waiting for the peer: interrupted by disconnect");
    }
}

#[test]
fn busy_pipe_respects_the_deadline() {
    let (mut pipe, _peer) = busy(&Interrupt::default());
    let past = clock::now();
    for error in [pipe.read(&mut [0], past).unwrap_err(), pipe.write_all(b"x", past).unwrap_err()] {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    assert_eq!(pipe.read(&mut [0], soon()).unwrap(), 1, "a later one counts");
}

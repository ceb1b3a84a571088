//! pusher-js and the official server library, in node, on encrypted channels too.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use pusher_channels::testing::{Server, Settings};
use serde_json::json;

use super::{LIMIT, Running, packages};
use crate::support::spawn;

#[test]
fn node_libraries_use_every_part_of_the_server() {
    let Some(modules) = packages() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/node.cjs");
    let mut command = Command::new("node");
    command.arg(script).env("NODE_PATH", modules);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut node = Running(command.spawn().unwrap());
    let mut output = BufReader::new(node.0.stdout.take().unwrap());
    let port = spawn(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        (line, output)
    });
    let mut errors = node.0.stderr.take().unwrap();
    let errors = spawn(move || {
        let mut text = String::new();
        errors.read_to_string(&mut text).unwrap();
        text
    });
    let (port, _output) = port.recv_timeout(LIMIT).unwrap();
    let settings = Settings::default()
        .webhook(&format!("http://127.0.0.1:{}/", port.trim()))
        .subscription_counts(true);
    let server = Server::start_with(settings).unwrap();
    let config = json!({
        "port": server.port(), "key": server.key(), "secret": server.secret(),
        "appId": server.app_id(), "master": server.encryption_master_key(),
    });
    writeln!(node.0.stdin.as_ref().unwrap(), "{config}").unwrap();
    // They end with the process.
    let errors = errors.recv_timeout(LIMIT).unwrap();
    assert!(node.0.wait().unwrap().success(), "{errors}");
}

//! The command-line tool: listens, triggers, publishes, serves a development server, and finds out why a connection
//! fails.
//!
//! It uses the public API of the library alone. Each command is a module with its arguments and a function that runs it;
//! `options` makes clients of the arguments that they share.

#![forbid(unsafe_code)]

mod data;
mod doctor;
mod exit;
mod interrupt;
mod listen;
mod options;
mod output;
mod publish;
mod serve;
mod time;
mod trigger;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed
  2    invalid arguments or environment
  3    timed out
  4    refused by the server or the auth endpoint (wrong key, not authorized)
  5    not reachable (name, address, proxy, TLS, no WebSocket server)
  130  interrupted before it was done";

const SERVER: &str = "\
Without --host, --cluster and --url the server is read from the environment, in the variables of a \
Laravel app: PUSHER_APP_KEY, PUSHER_APP_CLUSTER, PUSHER_HOST, PUSHER_PORT, PUSHER_SCHEME, or \
REVERB_APP_KEY and so on; so are the app id and the secret. Other users of the machine can see the secrets on a command line; set \
PUSHER_APP_SECRET instead, and PUSHER_ENCRYPTION_MASTER_KEY (base64) for encrypted channels.

With RUST_LOG set, such as RUST_LOG=pusher_channels=debug, it logs to standard error.";

/// Listens to, sends to and examines servers of the Pusher Channels protocol
#[derive(Parser)]
#[command(name = "pusher-channels", version, after_help = EXIT_CODES, after_long_help = format!("{SERVER}\n\n{EXIT_CODES}"))]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Listen(listen::Listen),
    Trigger(trigger::Trigger),
    Publish(publish::Publish),
    Serve(serve::Serve),
    Doctor(doctor::Doctor),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody reads it if it cannot be written.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { exit::DONE });
        }
    };
    start_log();
    let result = match arguments.command {
        Command::Listen(command) => command.run(),
        Command::Trigger(command) => command.run(),
        Command::Publish(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Doctor(command) => command.run(),
    };
    result.map_or_else(Failure::report, |()| ExitCode::from(exit::DONE))
}

fn start_log() {
    let mut log = env_logger::Builder::new();
    log.filter_level(log::LevelFilter::Off).parse_default_env();
    for verbose in ["tungstenite", "ureq", "ureq_proto"] {
        // They log signatures and tokens below this level.
        log.filter_module(verbose, log::LevelFilter::Info);
    }
    // Fails only if there is a logger already.
    let _ = log.try_init();
}

//! Decides which TLS library the crate uses: `cfg(tls = "native")`, `cfg(tls = "rustls")`, or none. `cfg(tls)` is set
//! with either.
//!
//! The features alone do not tell: where this repository is built without OpenSSL (see `.cargo/config.toml`), there is
//! no native-tls, whatever its feature says. Programs that depend on the crate never are.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rustc-check-cfg=cfg(tls, values(none(), \"native\", \"rustls\"))");
    let is_set = |name| env::var_os(name).is_some();
    let without_openssl = is_set("CARGO_CFG_PUSHER_CHANNELS_WITHOUT_OPENSSL");
    let library = if is_set("CARGO_FEATURE_NATIVE_TLS") && !without_openssl {
        "native"
    } else if is_set("CARGO_FEATURE_RUSTLS") {
        "rustls"
    } else {
        return;
    };
    println!("cargo::rustc-cfg=tls");
    println!("cargo::rustc-cfg=tls=\"{library}\"");
}

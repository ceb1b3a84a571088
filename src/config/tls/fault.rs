//! Explains a failed handshake, as far as the TLS library reports the reason.

use std::error::Error as StdError;

use super::HandshakeSettings;

/// How many of a certificate's names are shown.
const NAMES: usize = 5;
const UNKNOWN: &str = "the server's certificate is not signed by a trusted authority: add its root with \
                       Tls::root_certificate_pem";
const SHORT: &str = "make certificates with RSA keys of at least 2048 bits";

#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "each library reports some of them only")]
pub(crate) enum Fault {
    Expired,
    NotYetValid,
    /// Expired or not yet valid: the platform's verifier does not report which.
    OutsideValidity,
    /// The chain ends in an unknown certificate, or too early: the library does not report which.
    UnknownIssuer,
    /// The chain is complete, but its root is unknown.
    UnknownRoot,
    /// The server's own certificate is that of an authority, which rustls does not accept.
    Authority,
    /// The server's own certificate has an old version of X.509, which rustls does not accept.
    OldForm,
    /// The server's own certificate is for another purpose.
    WrongPurpose,
    /// A key of the chain is too short.
    WeakKey,
    /// Signed by an issuer that only has the name of a known one, or by a key that is too short: rustls does not report
    /// which.
    BadSignature,
    Revoked,
    /// With the names of the certificate, if the library reports them.
    WrongName(Option<Vec<String>>),
    /// Anything else about the certificate.
    BadCertificate,
    NoCommonVersion,
    NotTls,
    /// The server's alert.
    Alert(u8),
}

impl Fault {
    /// Reads an error of the TLS library, also one inside an I/O error.
    #[cfg(tls = "native")]
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        openssl::fault(&error.to_string())
    }

    /// Reads an error of the TLS library, also one inside an I/O error.
    #[cfg(not(tls = "native"))]
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let inside = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        error.downcast_ref::<rustls::Error>().or(inside).and_then(library::fault)
    }

    /// Explains it. `name` is the name that the certificate must have.
    pub(crate) fn words(&self, name: &str, settings: HandshakeSettings) -> String {
        let version = settings.min_version;
        match self {
            Self::Expired => {
                "the server's certificate has expired, or this device's clock is fast".to_owned()
            }
            Self::NotYetValid => {
                "the server's certificate is not yet valid, or this device's clock is slow"
                    .to_owned()
            }
            Self::OutsideValidity => "the server's certificate has expired or is not yet valid, or this device's \
                                      clock is wrong"
                .to_owned(),
            Self::UnknownIssuer => format!(
                "{UNKNOWN}; or the server does not send its intermediate certificate: have it send the \
                 whole chain"
            ),
            Self::UnknownRoot => UNKNOWN.to_owned(),
            Self::Authority => "the server's certificate is that of an authority (CA:TRUE, as `openssl req -x509` \
                                makes it), which rustls does not accept as a server's own: make one with \
                                `basicConstraints=CA:FALSE`, or use the feature `native-tls`"
                .to_owned(),
            Self::OldForm => "the server's certificate is not X.509 version 3 (`openssl x509 -req` makes such without \
                              extensions), which rustls does not accept: make one with `-extfile` and a \
                              `subjectAltName`, or use the feature `native-tls`"
                .to_owned(),
            Self::WrongPurpose => "the server's certificate is not that of a server: make one with `serverAuth` in its \
                                   `extendedKeyUsage`"
                .to_owned(),
            Self::WeakKey => format!("a key of the server's certificates is too short: {SHORT}"),
            Self::BadSignature => format!(
                "{UNKNOWN}; or a key of the server's certificates is too short: {SHORT}"
            ),
            Self::Revoked => "the server's certificate was revoked".to_owned(),
            Self::WrongName(names) => wrong_name(name, names.as_deref()),
            Self::BadCertificate => "the server's certificate is invalid".to_owned(),
            Self::NoCommonVersion => {
                format!("the server supports no allowed version of TLS: {version} or later")
            }
            Self::NotTls => {
                "the server does not speak TLS on this port; is it plain HTTP or WebSocket?".to_owned()
            }
            Self::Alert(70) => Self::NoCommonVersion.words(name, settings),
            Self::Alert(alert @ (42..=46 | 48 | 49)) if settings.client_certificate => {
                format!("the server refused the client certificate ({})", meaning(*alert))
            }
            Self::Alert(42 | 49 | 116) => "the server requires a client certificate: set one \
                                           with Tls::client_certificate_pem"
                .to_owned(),
            Self::Alert(40) => {
                let certificate = match settings.client_certificate {
                    true => "another client certificate is required",
                    false => "a client certificate is required",
                };
                format!(
                    "the server refused (handshake failure): there is no version or cipher in \
                     common, or {certificate}"
                )
            }
            Self::Alert(alert) => format!("the server refused ({})", meaning(*alert)),
        }
    }
}

fn wrong_name(name: &str, names: Option<&[String]>) -> String {
    let mut words = format!("the server's certificate is not for {name}");
    match names {
        None => {}
        Some([]) => words.push_str(
            ", since it has no name: make one with a `subjectAltName`; a common name (CN) does not count",
        ),
        Some(names) => {
            let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
            words.push_str(&format!(", but for {}", shown.join(", ")));
            if names.len() > NAMES {
                words.push_str(&format!(" and {} more", names.len() - NAMES));
            }
        }
    }
    words
}

/// RFC 8446, section 6.2, and RFC 5246, section 7.2.2.
fn meaning(alert: u8) -> String {
    let words = match alert {
        42 => "bad certificate",
        43 => "unsupported certificate",
        44 => "certificate revoked",
        45 => "certificate expired",
        46 => "certificate unknown",
        48 => "unknown authority",
        49 => "access denied",
        71 => "insufficient security",
        80 => "internal error",
        112 => "unrecognized name",
        116 => "certificate required",
        other => return format!("alert {other}"),
    };
    format!("alert {alert}, {words}")
}

/// Returns the settings with a verifier that distinguishes expired from not yet valid, which those of these platforms do
/// not.
#[cfg(test)]
pub(crate) fn telling_times(tls: crate::Tls) -> crate::Tls {
    tls.only_given_roots(cfg!(any(windows, target_vendor = "apple", target_os = "android")))
}

#[cfg(tls = "native")]
mod openssl {
    use super::Fault;

    /// native-tls returns only a text. That of OpenSSL 1.1 and 3 is not translated.
    pub(super) fn fault(text: &str) -> Option<Fault> {
        let text = text.to_ascii_lowercase();
        if let Some((_, alert)) = text.split_once("ssl alert number ") {
            let end = alert.find(|c: char| !c.is_ascii_digit()).unwrap_or(alert.len());
            return alert.get(..end)?.parse().ok().map(Fault::Alert);
        }
        let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
        let fault = if has(&["certificate has expired"]) {
            Fault::Expired
        } else if has(&["certificate is not yet valid"]) {
            Fault::NotYetValid
        } else if has(&["key too weak", "ee key too small", "ca key too small"]) {
            Fault::WeakKey
        } else if has(&["self-signed certificate", "self signed certificate"]) {
            Fault::UnknownRoot
        } else if has(&["issuer certificate", "unable to verify the first certificate"])
            // Signed by an issuer that only has the name of a known one.
            || has(&["certificate signature failure"])
        {
            Fault::UnknownIssuer
        } else if has(&["hostname mismatch", "ip address mismatch"]) {
            Fault::WrongName(None)
        } else if has(&["certificate revoked"]) {
            Fault::Revoked
        // OpenSSL 3 and 1.1.
        } else if has(&["unsuitable certificate purpose", "unsupported certificate purpose"]) {
            Fault::WrongPurpose
        } else if has(&["certificate verify failed"]) {
            Fault::BadCertificate
        } else if has(&["unsupported protocol", "wrong ssl version"]) {
            Fault::NoCommonVersion
        } else if has(&["wrong version number", "packet length too long"]) {
            Fault::NotTls
        } else {
            return None;
        };
        Some(fault)
    }
}

#[cfg(not(tls = "native"))]
mod library {
    use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

    use super::Fault;

    pub(super) fn fault(error: &Error) -> Option<Fault> {
        let fault = match error {
            Error::AlertReceived(alert) => Fault::Alert(u8::from(*alert)),
            Error::InvalidCertificate(error) => certificate(error),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
            ) => Fault::NoCommonVersion,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Fault::NotTls,
            _ => return None,
        };
        Some(fault)
    }

    fn certificate(error: &CertificateError) -> Fault {
        match error {
            CertificateError::ExpiredContext { .. } => Fault::Expired,
            // Without the times it comes from the platform's verifier: that of Windows, for one, returns the same for
            // a certificate that is not yet valid.
            CertificateError::Expired => Fault::OutsideValidity,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Fault::NotYetValid
            }
            CertificateError::UnknownIssuer => Fault::UnknownIssuer,
            CertificateError::BadSignature => Fault::BadSignature,
            CertificateError::Revoked => Fault::Revoked,
            // rustls passes webpki's own errors on as they are.
            CertificateError::Other(other) => match other.to_string().as_str() {
                "CaUsedAsEndEntity" => Fault::Authority,
                "UnsupportedCertVersion" => Fault::OldForm,
                // The platform verifier's.
                "certificate had invalid extensions" => Fault::WrongPurpose,
                _ => Fault::BadCertificate,
            },
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Fault::WrongPurpose
            }
            CertificateError::NotValidForName => Fault::WrongName(None),
            CertificateError::NotValidForNameContext { presented, .. } => {
                Fault::WrongName(Some(presented.iter().map(|name| bare(name)).collect()))
            }
            _ => Fault::BadCertificate,
        }
    }

    /// `a.test` of `DnsName("a.test")`.
    fn bare(name: &str) -> String {
        let inside = name.split_once('(').and_then(|(_, name)| name.strip_suffix(')'));
        inside.unwrap_or(name).trim_matches('"').to_owned()
    }

    #[cfg(test)]
    mod tests {
        use std::time::Duration;

        use rustls::pki_types::UnixTime;

        use super::*;
        use crate::Tls;

        #[test]
        fn expired_and_not_yet_valid_are_distinguished_only_as_the_verifier_does() {
            let time = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
            let (earlier, later) = (time(1), time(2));
            let settings = Tls::default().handshake_settings();
            for (error, start) in [
                (
                    CertificateError::ExpiredContext { time: later, not_after: earlier },
                    "the server's certificate has expired, or",
                ),
                (
                    CertificateError::NotValidYetContext { time: earlier, not_before: later },
                    "the server's certificate is not yet valid, or",
                ),
                (CertificateError::NotValidYet, "the server's certificate is not yet valid, or"),
                // As the verifiers of Windows and Android report it.
                (
                    CertificateError::Expired,
                    "the server's certificate has expired or is not yet valid, or",
                ),
            ] {
                let words = certificate(&error).words("host.test", settings);
                assert!(words.starts_with(start), "{error:?}: {words}");
            }
        }
    }
}

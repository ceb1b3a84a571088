//! Reads the certificates and keys of [`Tls`], in the same way for every TLS library.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{ClientCertificate, Root, Tls};
use crate::{Error, ErrorKind};

type Cause = Box<dyn std::error::Error + Send + Sync>;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const ENCRYPTED: &str = "it is encrypted; decrypt it with `openssl pkcs8`";

/// A certificate: its chain in DER, and its key.
#[cfg_attr(not(tls), expect(dead_code, reason = "without a library for TLS, none is sent"))]
pub(crate) struct Identity {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) kind: KeyKind,
    pub(crate) key: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Pkcs1,
    Pkcs8,
    Sec1,
}

impl Tls {
    /// Returns the given roots, each converted from DER by `read`. Fails if nothing would be trusted.
    pub(crate) fn roots<T>(
        &self,
        read: impl Fn(&[u8]) -> Result<T, Cause>,
    ) -> Result<Vec<T>, Error> {
        if self.only_given_roots && self.roots.is_empty() {
            let message = "Tls::only_given_roots: there must be a root certificate; give one with \
                           Tls::root_certificate_pem";
            return Err(Error::message(ErrorKind::Config, message));
        }
        let mut roots = Vec::new();
        for (call, root) in self.roots.iter().enumerate() {
            let (setter, certificates) = match root {
                Root::Pem(pem) => ("root_certificate_pem", certificates(pem)),
                Root::Der(der) => {
                    let certificate = one_element(der).map(|()| vec![der.clone()]);
                    ("root_certificate_der", certificate.map_err(str::to_owned))
                }
            };
            let which = match self.roots.len() {
                1 => format!("Tls::{setter}"),
                _ => format!("Tls::{setter} (root call {})", call + 1),
            };
            let wrong = |why: &str| Error::message(ErrorKind::Config, format!("{which}: {why}"));
            for (index, der) in certificates.map_err(|why| wrong(&why))?.iter().enumerate() {
                roots.push(read(der).map_err(|cause| {
                    wrong(&format!("certificate {}: it is not X.509", index + 1)).caused_by(cause)
                })?);
            }
        }
        Ok(roots)
    }

    /// Returns the client certificate.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Error> {
        let Some(ClientCertificate { chain, key }) = &self.client else { return Ok(None) };
        Identity::read(chain, key).map(Some).map_err(|(part, why)| wrong_identity(part, &why))
    }

    /// Fails if the server's name is invalid.
    pub(crate) fn check_name(&self) -> Result<(), Error> {
        match self.name() {
            Some(name) if !is_host(name) => {
                let message =
                    format!("Tls::server_name: {name:?} is neither a host name nor an address");
                Err(Error::message(ErrorKind::Config, message))
            }
            _ => Ok(()),
        }
    }
}

impl Identity {
    /// Reads both from PEM. The error says which part is wrong and why.
    pub(crate) fn read(chain: &[u8], key: &[u8]) -> Result<Self, (&'static str, String)> {
        let chain = certificates(chain).map_err(|why| ("chain", why))?;
        let (kind, key) = private_key(key).map_err(|why| ("key", why.to_owned()))?;
        Ok(Self { chain, kind, key })
    }
}

#[cfg(tls = "native")]
impl Identity {
    /// Converts it for native-tls; the key must be PKCS#8.
    pub(crate) fn to_native(&self) -> Result<native_tls::Identity, Cause> {
        let certificates = self.chain.iter().map(|der| write(der, "CERTIFICATE").to_string());
        let chain: String = certificates.collect();
        read_by_native_tls(chain.as_bytes(), write(&self.key, "PRIVATE KEY").as_bytes())
    }
}

#[cfg(all(tls = "native", not(all(target_vendor = "apple", not(target_os = "macos")))))]
fn read_by_native_tls(chain: &[u8], key: &[u8]) -> Result<native_tls::Identity, Cause> {
    Ok(native_tls::Identity::from_pkcs8(chain, key)?)
}

// On iOS and its relatives native-tls panics, and says so by a deprecation.
#[cfg(all(tls = "native", target_vendor = "apple", not(target_os = "macos")))]
fn read_by_native_tls(_: &[u8], _: &[u8]) -> Result<native_tls::Identity, Cause> {
    Err("native-tls cannot read a key on this system".into())
}

pub(crate) fn wrong_identity(part: &str, why: &str) -> Error {
    let message = format!("Tls::client_certificate_pem: the {part}: {why}");
    Error::message(ErrorKind::Config, message)
}

/// Returns every certificate in `pem`, in DER.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut certificates = Vec::new();
    for section in Sections::new(pem) {
        if matches!(section.label, b"CERTIFICATE" | b"X509 CERTIFICATE") {
            let wrong = |why| format!("certificate {}: {why}", certificates.len() + 1);
            let der = section.content.map_err(wrong)?;
            one_element(&der).map_err(wrong)?;
            certificates.push(der.to_vec());
        }
    }
    if certificates.is_empty() {
        return Err("no BEGIN CERTIFICATE in the PEM".to_owned());
    }
    Ok(certificates)
}

/// Returns the first private key in `pem`.
fn private_key(pem: &[u8]) -> Result<(KeyKind, Zeroizing<Vec<u8>>), &'static str> {
    for section in Sections::new(pem) {
        let kind = match section.label {
            b"PRIVATE KEY" => KeyKind::Pkcs8,
            b"RSA PRIVATE KEY" => KeyKind::Pkcs1,
            b"EC PRIVATE KEY" => KeyKind::Sec1,
            b"ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED),
            _ => continue,
        };
        return Ok((kind, section.content?));
    }
    Err("no BEGIN PRIVATE KEY in the PEM")
}

/// Fails unless `der` is one element of ASN.1 and nothing else; not every library checks what follows.
fn one_element(der: &[u8]) -> Result<(), &'static str> {
    if der.starts_with(BEGIN) {
        return Err("it is PEM, not DER");
    }
    let Some((&[0x30, first], rest)) = der.split_first_chunk() else {
        return Err("it is not DER");
    };
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let size = usize::from(first & 0x7f);
            let (length, rest) = rest.split_at_checked(size).ok_or("it is cut short")?;
            (length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
        }
        _ => return Err("it is not DER"),
    };
    match rest.len() {
        found if found < length => Err("it is cut short"),
        found if found > length => Err("something follows it"),
        _ => Ok(()),
    }
}

/// The text between a BEGIN and its END.
struct Section<'a> {
    label: &'a [u8],
    content: Result<Zeroizing<Vec<u8>>, &'static str>,
}

/// The sections of PEM (RFC 7468), whatever stands between them.
struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    fn new(pem: &'a [u8]) -> Self {
        // Some editors begin a text with a byte-order mark.
        Self { rest: pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem) }
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        Some(line.trim_ascii())
    }

    fn content(&mut self, label: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        // The largest possible capacity, since growing would leave copies of the key in memory.
        let mut base64 = Zeroizing::new(Vec::with_capacity(self.rest.len()));
        loop {
            let before = self.rest;
            let line = self.line().ok_or("its END is missing")?;
            if line.starts_with(BEGIN) {
                self.rest = before;
                return Err("its END is missing");
            }
            if let Some(end) = marked(line, END) {
                if end != label {
                    return Err("its END is missing");
                }
                let der = STANDARD.decode(&*base64).map(Zeroizing::new);
                return der.map_err(|_| "its base64 is damaged");
            }
            // An old header before the base64 says that the key is encrypted.
            if line.ends_with(b",ENCRYPTED") {
                return Err(ENCRYPTED);
            }
            base64.extend(line);
        }
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Section<'a>;

    fn next(&mut self) -> Option<Section<'a>> {
        loop {
            if let Some(label) = marked(self.line()?, BEGIN) {
                return Some(Section { label, content: self.content(label) });
            }
        }
    }
}

fn marked<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(mark)?.strip_suffix(b"-----")
}

#[cfg(tls = "native")]
fn write(der: &[u8], label: &str) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let lines = base64.len() / 64 * 65 + 65;
    let mut pem = Zeroizing::new(String::with_capacity(lines + 2 * label.len() + 40));
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.extend([line, "\n"]);
        rest = after;
    }
    pem.extend(["-----END ", label, "-----\n"]);
    pem
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        matches!(label.len(), 1..=63)
            && label.bytes().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.parse::<std::net::IpAddr>().is_ok()
        // A last label of digits is an invalid address.
        || name.len() <= 253
            && name.split('.').all(is_label)
            && !name.rsplit('.').next().is_some_and(is_number)
}

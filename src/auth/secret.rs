//! Authorization with the app's secret itself.

/// Signs with the app's secret.
#[derive(Debug)]
pub struct SecretAuthorizer {}

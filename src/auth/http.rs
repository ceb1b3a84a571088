//! An HTTP endpoint that authorizes.

/// An HTTP endpoint that authorizes.
#[derive(Debug)]
pub struct HttpAuthorizer {}

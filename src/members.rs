//! Who is on a presence channel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::Error;
use crate::error::read_json;

/// A user on a presence channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    id: Arc<str>,
    info: Arc<str>,
}

impl Member {
    pub(crate) fn new(id: &str, info: &str) -> Self {
        Self { id: id.into(), info: info.into() }
    }

    /// The user's id. A number that the server sends is its text here.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What your endpoint tells about the user, as JSON text; `null` if nothing.
    pub fn info(&self) -> &str {
        &self.info
    }

    /// The info, read as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Json`](crate::ErrorKind::Json) if it is not of that shape.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        read_json(&self.info)
    }
}

impl fmt::Debug for Member {
    /// Without the info, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The members of a presence channel at one moment; it does not change.
///
/// Cheap to clone. Empty while the channel is not subscribed.
#[derive(Clone, Default)]
pub struct Members(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    by_id: BTreeMap<Arc<str>, Member>,
    me: Option<Arc<str>>,
}

impl Members {
    pub(crate) fn of(members: impl IntoIterator<Item = Member>, me: Option<&str>) -> Self {
        let by_id = members.into_iter().map(|member| (Arc::clone(&member.id), member)).collect();
        Self(Arc::new(Inner { by_id, me: me.map(Arc::from) }))
    }

    /// Tells whether the member was not there before.
    pub(crate) fn insert(&mut self, member: Member) -> bool {
        let inner = Arc::make_mut(&mut self.0);
        inner.by_id.insert(Arc::clone(&member.id), member).is_none()
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        self.get(id)?;
        Arc::make_mut(&mut self.0).by_id.remove(id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.by_id.is_empty()
    }

    /// The member of this id.
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.0.by_id.get(id)
    }

    /// This client's own user.
    pub fn me(&self) -> Option<&Member> {
        self.get(self.0.me.as_deref()?)
    }

    /// All of them, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.0.by_id.values()
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members")
            .field("len", &self.len())
            .field("me", &self.0.me)
            .finish_non_exhaustive()
    }
}

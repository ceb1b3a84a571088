//! The members of presence channels.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::Error;
use crate::error::read_json;

/// A member of a presence channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Member {
    id: Arc<str>,
    /// `None` for `null`, which then takes no memory.
    info: Option<Arc<str>>,
}

/// The memory that a member takes in the table beside its texts, in bytes: its place, and the overhead of the
/// allocator.
const PLACE: usize = 120;
/// The same for an info.
const INFO: usize = 32;

impl Member {
    pub(crate) fn new(id: &str, info: &str) -> Self {
        Self { id: id.into(), info: (info != "null").then(|| info.into()) }
    }

    /// Returns the memory that it takes in a table, in bytes.
    pub(crate) fn size(&self) -> usize {
        PLACE + self.id.len() + self.info.as_ref().map_or(0, |info| INFO + info.len())
    }

    /// Returns the user's id. If the server sends a number, this is its text.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the `user_info` of the authorization as JSON text.
    ///
    /// It is `null` if there is none, or if the members of the channel take more memory than
    /// [`max_members_bytes`](crate::ClientBuilder::max_members_bytes) allows.
    #[doc(alias("user_info", "userInfo"))]
    pub fn info(&self) -> &str {
        self.info.as_deref().unwrap_or("null")
    }

    /// Deserializes the info as JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Json`](crate::ErrorKind::Json) if the info does not match `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Error> {
        read_json(self.info())
    }
}

impl fmt::Debug for Member {
    /// Omits the info, which may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A snapshot of the members of a presence channel. It does not change.
///
/// Taking and cloning a snapshot is cheap: it shares the client's own table. While a snapshot exists, the next member
/// that joins or leaves makes the client copy that table once (without the members' texts), so do not keep snapshots
/// of large channels for long.
///
/// It is empty while the channel is not subscribed. The members take at most
/// [`max_members_bytes`](crate::ClientBuilder::max_members_bytes): beyond that the client drops the info of further
/// members, and then further members.
#[derive(Clone, Default)]
pub struct Members(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    by_id: BTreeMap<Arc<str>, Member>,
    me: Option<Arc<str>>,
    /// The sizes of all of them.
    bytes: usize,
    /// `true` if something did not fit.
    is_cut: bool,
}

impl Members {
    /// Returns an empty table, in which this id is the client's own user.
    pub(crate) fn seen_by(me: Option<&str>) -> Self {
        Self(Arc::new(Inner { me: me.map(Arc::from), ..Inner::default() }))
    }

    /// Adds a member, or replaces its info. If all of them would then take more than `limit` bytes, the info
    /// is left out, or else the member. Returns `true` if it is there now and was not before.
    pub(crate) fn insert(&mut self, mut member: Member, limit: usize) -> bool {
        let inner = Arc::make_mut(&mut self.0);
        let known = inner.by_id.get_mut(&*member.id);
        let others = inner.bytes.saturating_sub(known.as_ref().map_or(0, |known| known.size()));
        let fits = |member: &Member| others.saturating_add(member.size()) <= limit;
        if !fits(&member) {
            inner.is_cut = true;
            member.info = None;
        }
        let is_new = known.is_none();
        // The own user is kept, whatever the others take.
        let is_me = inner.me.as_deref() == Some(&*member.id);
        if is_new && !is_me && !fits(&member) {
            return false;
        }
        inner.bytes = others.saturating_add(member.size());
        match known {
            // The table has the id already, which is kept: else it would be there twice.
            Some(known) => known.info = member.info,
            None => drop(inner.by_id.insert(Arc::clone(&member.id), member)),
        }
        is_new
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        self.get(id)?;
        let inner = Arc::make_mut(&mut self.0);
        let member = inner.by_id.remove(id)?;
        inner.bytes = inner.bytes.saturating_sub(member.size());
        Some(member)
    }

    /// Returns `true` if something was left out since the channel was subscribed.
    pub(crate) fn is_cut(&self) -> bool {
        self.0.is_cut
    }

    pub(crate) fn set_cut(&mut self) {
        Arc::make_mut(&mut self.0).is_cut = true;
    }

    /// Returns the number of members.
    #[doc(alias("count", "members_count", "membersCount"))]
    pub fn len(&self) -> usize {
        self.0.by_id.len()
    }

    /// Returns `true` if there are no members.
    pub fn is_empty(&self) -> bool {
        self.0.by_id.is_empty()
    }

    /// Returns the member with this id.
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.0.by_id.get(id)
    }

    /// Returns this client's own user; `None` while the channel is not subscribed, or if the server does not list it.
    #[doc(alias = "myId")]
    pub fn me(&self) -> Option<&Member> {
        self.get(self.0.me.as_deref()?)
    }

    /// Iterates over the members in the order of their ids.
    #[doc(alias = "each")]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn table(members: &[(&str, &str)], limit: usize) -> Members {
        let mut table = Members::seen_by(None);
        for (id, info) in members {
            table.insert(Member::new(id, info), limit);
        }
        table
    }

    fn shown(table: &Members) -> Vec<(&str, &str)> {
        table.iter().map(|member| (member.id(), member.info())).collect()
    }

    #[test]
    fn beyond_the_limit_infos_are_left_out_and_then_members() {
        let info = format!("{:?}", "x".repeat(100));
        let full = Member::new("1", &info).size();
        let limit = 2 * full + Member::new("1", "null").size();
        let all = [("1", &*info), ("2", &info), ("3", &info), ("4", &info)];
        let mut table = table(&all, limit);
        assert_eq!(shown(&table), [("1", &*info), ("2", &info), ("3", "null")]);
        assert_eq!(table.0.bytes, limit);
        // What leaves makes room.
        table.remove("1").unwrap();
        assert!(table.insert(Member::new("4", &info), limit));
        assert!(!table.insert(Member::new("4", "null"), limit), "it was there");
        assert_eq!(shown(&table), [("2", &*info), ("3", "null"), ("4", "null")]);
        for id in ["2", "3", "4"] {
            table.remove(id).unwrap();
        }
        assert_eq!(table.0.bytes, 0);
    }

    #[test]
    fn the_own_user_is_always_there() {
        let mut table = Members::seen_by(Some("me"));
        for id in ["1", "2", "me", "3"] {
            table.insert(Member::new(id, "7"), 1);
        }
        assert_eq!(shown(&table), [("me", "null")]);
        assert_eq!(table.me().map(Member::id), Some("me"));
    }

    #[test]
    fn a_replaced_info_counts_once() {
        let mut table = Members::seen_by(None);
        for length in [1_000, 10, 2_000, 0] {
            let member = Member::new("1", &format!("{:?}", "x".repeat(length)));
            table.insert(member.clone(), usize::MAX);
            assert_eq!((table.0.bytes, table.len()), (member.size(), 1));
        }
        table.insert(Member::new("1", &"7".repeat(100)), 200);
        assert_eq!(table.get("1").unwrap().info(), "null", "the old one is not right any more");
    }

    #[test]
    fn a_snapshot_is_copied_once_and_not_without_one() {
        let mut table = table(&[("1", "null")], usize::MAX);
        let address = |table: &Members| Arc::as_ptr(&table.0);
        let before = address(&table);
        table.insert(Member::new("2", "null"), usize::MAX);
        assert_eq!(address(&table), before);
        let snapshot = table.clone();
        table.insert(Member::new("3", "null"), usize::MAX);
        let copied = address(&table);
        assert_ne!(copied, before);
        table.insert(Member::new("4", "null"), usize::MAX);
        assert_eq!((address(&table), snapshot.len(), table.len()), (copied, 2, 4));
    }
}

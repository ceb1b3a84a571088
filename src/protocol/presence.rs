//! Reads the members of presence channels, in all forms that servers send.

use crate::model::members::{Member, Members};
use crate::wire::{each_element, each_field, id, pick};

/// Returns the id of the client's own user from the `channel_data` of the authorizer.
pub(crate) fn own_id(channel_data: &str) -> Option<String> {
    let [user_id] = pick(channel_data, ["user_id"]);
    id(user_id?)
}

/// Reads the members from `{"presence":{"ids":[…],"hash":{…},"count":…}}`, up to `limit` bytes. The ids may be missing,
/// or the info of some.
pub(crate) fn members(data: &str, me: Option<&str>, limit: usize) -> Members {
    let mut members = Members::seen_by(me);
    let [presence] = pick(data, ["presence"]);
    let [ids, hash] = pick(presence.unwrap_or_default(), ["ids", "hash"]);
    // The ids first: they matter more than the infos.
    each_element(ids.unwrap_or_default(), |json| {
        if let Some(id) = id(json) {
            members.insert(Member::new(&id, "null"), limit);
        }
    });
    // Some servers send `[]` for an empty hash.
    let _ = each_field(hash.unwrap_or_default(), |id, info| {
        members.insert(Member::new(&id, info), limit);
    });
    members
}

/// Reads a member from `{"user_id":…,"user_info":…}`.
pub(crate) fn member(data: &str) -> Option<Member> {
    let [user_id, info] = pick(data, ["user_id", "user_info"]);
    Some(Member::new(&id(user_id?)?, info.unwrap_or("null")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(data: &str) -> Vec<(String, String)> {
        let members = members(data, None, usize::MAX);
        members.iter().map(|member| (member.id().into(), member.info().into())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(id, info)| (id.into(), info.into())).collect()
    }

    #[test]
    fn members_in_every_shape() {
        let full = r#"{"presence":{"ids":["7","9"],"hash":{"7":{"name":"A"},"9":null},"count":2}}"#;
        assert_eq!(listed(full), pairs(&[("7", r#"{"name":"A"}"#), ("9", "null")]));
        let no_ids = r#"{"presence":{"hash":{"a":1},"count":1}}"#;
        assert_eq!(listed(no_ids), pairs(&[("a", "1")]));
        let numbers = r#"{"presence":{"ids":[7,null,"8",1.5,{}],"hash":{"7":{}},"count":1}}"#;
        assert_eq!(listed(numbers), pairs(&[("1.5", "null"), ("7", "{}"), ("8", "null")]));
        let array = r#"{"presence":{"ids":["7"],"hash":[],"count":0}}"#;
        assert_eq!(listed(array), pairs(&[("7", "null")]));
        for odd in ["", "{}", "null", "[]", r#"{"presence":null}"#, r#"{"presence":{"hash":7}}"#] {
            assert!(listed(odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn what_cannot_be_read_takes_no_other_with_it() {
        let ids = r#"{"presence":{"ids":["\ud800",1e400,12345678901234567890123,"7"]}}"#;
        let null = "null";
        let expected =
            [("12345678901234567890123", null), ("1e400", null), ("7", null), ("\u{fffd}", null)];
        assert_eq!(listed(ids), pairs(&expected));
        let hash =
            r#"{"\ud800":1,"presence":{"hash":{"\ud800":1,"\u0037":["\ud800"],"a\"":1e400}}}"#;
        let expected = [("7", r#"["\ud800"]"#), ("a\"", "1e400"), ("\u{fffd}", "1")];
        assert_eq!(listed(hash), pairs(&expected));
        let member = member(r#"{"\ud800":0,"user_id":"7\ud800","user_info":"\ud800"}"#).unwrap();
        assert_eq!((member.id(), member.info()), ("7\u{fffd}", r#""\ud800""#));
        assert_eq!(own_id(r#"{"user_id":"7","user_info":"\ud800"}"#).as_deref(), Some("7"));
    }

    #[test]
    fn me_is_one_of_them() {
        let data = r#"{"presence":{"ids":["7"],"hash":{"7":{"n":1}}}}"#;
        let me = own_id(r#"{"user_id":7,"user_info":{"n":1}}"#);
        assert_eq!(members(data, me.as_deref(), usize::MAX).me().unwrap().info(), r#"{"n":1}"#);
        assert!(members(data, Some("8"), usize::MAX).me().is_none());
        assert_eq!(own_id("{}"), None);
        assert_eq!(own_id(r#"{"user_id":null}"#), None);
    }

    #[test]
    fn one_member_in_every_shape() {
        let parsed = |data: &str| member(data).map(|m| (m.id().to_owned(), m.info().to_owned()));
        let pair = |id: &str, info: &str| Some((id.to_owned(), info.to_owned()));
        assert_eq!(parsed(r#"{"user_id":"7","user_info":{"a":1}}"#), pair("7", r#"{"a":1}"#));
        assert_eq!(parsed(r#"{"user_id":7}"#), pair("7", "null"));
        for odd in ["", "{}", "null", r#"{"user_id":null}"#, r#"{"user_id":{}}"#] {
            assert_eq!(parsed(odd), None, "{odd}");
        }
    }
}

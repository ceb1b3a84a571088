//! What servers tell about the members of a presence channel, in all their ways of telling it.

use serde_json::value::RawValue;

use super::fields::{fields, id};
use crate::members::{Member, Members};

/// The user that this client is on the channel, by what the authorizer answered.
pub(super) fn own_id(channel_data: &str) -> Option<String> {
    id(fields(channel_data).get("user_id")?.get())
}

/// The members by `{"presence":{"ids":[…],"hash":{…},"count":…}}`: the ids may be missing, or the
/// infos of some.
pub(super) fn members(data: &str, me: Option<&str>) -> Members {
    let data = fields(data);
    let presence = data.get("presence").map(|presence| fields(presence.get())).unwrap_or_default();
    let hash = presence.get("hash").map(|hash| fields(hash.get())).unwrap_or_default();
    let ids: Vec<&RawValue> = presence
        .get("ids")
        .and_then(|ids| serde_json::from_str(ids.get()).ok())
        .unwrap_or_default();
    let listed = ids.iter().filter_map(|json| id(json.get()));
    let listed = listed.filter(|id| !hash.contains_key(id.as_str()));
    let listed: Vec<Member> = listed.map(|id| Member::new(&id, "null")).collect();
    let known = hash.iter().map(|(id, info)| Member::new(id.as_str(), info.get()));
    Members::of(listed.into_iter().chain(known), me)
}

/// The member by `{"user_id":…,"user_info":…}`.
pub(super) fn member(data: &str) -> Option<Member> {
    let data = fields(data);
    let id = id(data.get("user_id")?.get())?;
    let info = data.get("user_info").map_or("null", |info| info.get());
    Some(Member::new(&id, info))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(data: &str) -> Vec<(String, String)> {
        let members = members(data, None);
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
        assert_eq!(members(data, me.as_deref()).me().unwrap().info(), r#"{"n":1}"#);
        assert!(members(data, Some("8")).me().is_none());
        assert_eq!(own_id("{}"), None);
        assert_eq!(own_id(r#"{"user_id":null}"#), None);
    }

    #[test]
    fn one_member_in_every_shape() {
        let told = |data: &str| member(data).map(|m| (m.id().to_owned(), m.info().to_owned()));
        let pair = |id: &str, info: &str| Some((id.to_owned(), info.to_owned()));
        assert_eq!(told(r#"{"user_id":"7","user_info":{"a":1}}"#), pair("7", r#"{"a":1}"#));
        assert_eq!(told(r#"{"user_id":7}"#), pair("7", "null"));
        for odd in ["", "{}", "null", r#"{"user_id":null}"#, r#"{"user_id":{}}"#] {
            assert_eq!(told(odd), None, "{odd}");
        }
    }
}

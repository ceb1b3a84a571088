//! The members of presence channels in what servers send.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use crate::fuzzing::Input;
use crate::protocol::presence::{member, members, own_id};
use crate::{Member, Members};

/// Who this client is, then the data.
pub(crate) fn presence(data: &[u8]) {
    let mut input = Input::new(data);
    let me = input.text();
    let data = input.text();
    let _ = own_id(&data);
    let mut table = members(&data, Some(&me), usize::MAX);
    for member in table.iter() {
        let _: Value = member.json().unwrap_or_default();
        assert_eq!(table.get(member.id()), Some(member));
    }
    assert_eq!(table.iter().count(), table.len());
    assert_eq!(table.me(), table.get(&me));
    if let Ok(value) = serde_json::from_str::<Value>(&data) {
        as_serde_json_sees_it(&table, &value["presence"]);
        let id = id(&value["user_id"]);
        assert_eq!(own_id(&data).map(|own| plain(&own)), id);
        assert_eq!(member(&data).map(|it| plain(it.id())), id);
    }
    let Some(member) = member(&data) else { return };
    add_and_remove(&mut table, &member);
}

fn add_and_remove(table: &mut Members, member: &Member) {
    let (snapshot, was) = (table.clone(), table.get(member.id()).cloned());
    assert_eq!(table.insert(member.clone(), usize::MAX), was.is_none());
    assert_eq!(table.get(member.id()), Some(member));
    assert_eq!(table.remove(member.id()).as_ref(), Some(member));
    assert_eq!(table.remove(member.id()), None);
    assert_eq!(snapshot.get(member.id()), was.as_ref(), "a snapshot does not change");
    assert_eq!(table.len(), snapshot.len() - usize::from(was.is_some()));
}

fn as_serde_json_sees_it(table: &Members, presence: &Value) {
    let listed = presence["ids"].as_array().into_iter().flatten().filter_map(id);
    let hash = presence["hash"].as_object();
    let known = hash.into_iter().flatten().map(|(id, _)| plain(id));
    let expected: BTreeSet<String> = listed.chain(known).collect();
    let ids: BTreeSet<String> = table.iter().map(|member| plain(member.id())).collect();
    assert_eq!(ids, expected, "{presence}");
    for member in table.iter() {
        let info = hash.and_then(|hash| hash.get(member.id())).unwrap_or(&Value::Null);
        assert_eq!(member.json::<Value>().as_ref().ok(), Some(info), "{presence}");
    }
}

fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) if !id.is_empty() => Some(plain(id)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number as serde_json writes it; any other text as it is.
fn plain(id: &str) -> String {
    serde_json::from_str::<Number>(id).map_or_else(|_| id.to_owned(), |number| number.to_string())
}

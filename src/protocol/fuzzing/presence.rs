//! What servers tell about members.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Member;
use crate::fuzzing::Input;
use crate::protocol::presence::{member, members, own_id};

/// Who this client is, then the data.
pub(crate) fn presence(data: &[u8]) {
    let mut input = Input::new(data);
    let me = input.text();
    let data = input.text();
    let _ = own_id(&data);
    let mut table = members(&data, Some(&me));
    for member in table.iter() {
        let _: Value = member.json().unwrap_or_default();
        assert_eq!(table.get(member.id()), Some(member));
    }
    assert_eq!(table.iter().count(), table.len());
    assert_eq!(table.me(), table.get(&me));
    if let Ok(value) = serde_json::from_str::<Value>(&data) {
        let told: BTreeMap<String, Option<Value>> = table
            .iter()
            .map(|member| (member.id().to_owned(), serde_json::from_str(member.info()).ok()))
            .collect();
        assert_eq!(told, expected(&value["presence"]), "{data:?}");
        let id = id(&value["user_id"]);
        assert_eq!(own_id(&data), id);
        assert_eq!(member(&data).as_ref().map(|it| it.id()), id.as_deref());
    }
    let Some(member) = member(&data) else { return };
    add_and_remove(&mut table, &member);
}

fn add_and_remove(table: &mut crate::Members, member: &Member) {
    let (snapshot, was) = (table.clone(), table.get(member.id()).cloned());
    assert_eq!(table.insert(member.clone()), was.is_none());
    assert_eq!(table.get(member.id()), Some(member));
    assert_eq!(table.remove(member.id()).as_ref(), Some(member));
    assert_eq!(table.remove(member.id()), None);
    assert_eq!(snapshot.get(member.id()), was.as_ref(), "a snapshot does not change");
    assert_eq!(table.len(), snapshot.len() - usize::from(was.is_some()));
}

/// The members as serde_json sees them.
fn expected(presence: &Value) -> BTreeMap<String, Option<Value>> {
    let ids = presence["ids"].as_array().into_iter().flatten().filter_map(id);
    let mut members: BTreeMap<_, _> = ids.map(|id| (id, Some(Value::Null))).collect();
    let hash = presence["hash"].as_object().into_iter().flatten();
    members.extend(hash.map(|(id, info)| (id.clone(), Some(info.clone()))));
    members
}

fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

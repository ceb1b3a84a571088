//! The members of presence channels.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::settings::PresenceStyle;

/// Pusher's limits.
const MAX_MEMBERS: usize = 100;
const MAX_ID: usize = 128;
const MAX_INFO: usize = 1024;

pub(super) struct Member {
    /// Text or a number, as it was signed.
    id: Value,
    info: Option<Value>,
}

impl Member {
    /// Reads `channel_data`; the error says what is wrong with it.
    pub(super) fn parse(channel_data: &str) -> Result<Self, &'static str> {
        let data: Value = serde_json::from_str(channel_data).map_err(|_| "it is not valid JSON")?;
        let id = data.get("user_id").cloned().unwrap_or_default();
        if !is_id(&id, true) {
            return Err("its user_id must be a number, or a string of 1 to 128 characters");
        }
        Self::new(id, data.get("user_info").cloned())
    }

    /// `id` must have passed [`is_id`].
    pub(super) fn new(id: Value, info: Option<Value>) -> Result<Self, &'static str> {
        if info.as_ref().is_some_and(|info| info.to_string().len() > MAX_INFO) {
            return Err("its user_info is larger than 1 KB");
        }
        Ok(Self { id, info })
    }

    pub(super) fn text(&self) -> String {
        id_text(&self.id)
    }

    /// The id as it is sent to clients.
    pub(super) fn id(&self, style: PresenceStyle) -> Value {
        match style {
            PresenceStyle::NumericIds => self.id.clone(),
            _ => self.text().into(),
        }
    }

    pub(super) fn added(&self, style: PresenceStyle) -> Value {
        let mut data = Map::new();
        data.insert("user_id".to_owned(), self.id(style));
        if let Some(info) = &self.info {
            data.insert("user_info".to_owned(), info.clone());
        }
        data.into()
    }

    pub(super) fn removed(&self, style: PresenceStyle) -> Value {
        json!({"user_id": self.id(style)})
    }
}

/// Returns `true` if this is a valid id of a user.
pub(super) fn is_id(id: &Value, numeric: bool) -> bool {
    match id {
        Value::String(text) => (1..=MAX_ID).contains(&text.chars().count()),
        Value::Number(_) => numeric,
        _ => false,
    }
}

/// The id as a string.
pub(super) fn id_text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// The members, with the connections of each.
#[derive(Default)]
pub(super) struct Members(BTreeMap<String, (Member, BTreeSet<u64>)>);

impl Members {
    pub(super) fn may_join(&self, member: &Member) -> bool {
        self.0.len() < MAX_MEMBERS || self.0.contains_key(&member.text())
    }

    /// Returns `true` if this is the member's first connection.
    pub(super) fn join(&mut self, connection: u64, member: Member) -> bool {
        let (_, connections) =
            self.0.entry(member.text()).or_insert_with(|| (member, BTreeSet::new()));
        connections.insert(connection);
        connections.len() == 1
    }

    /// Returns the member if this was its last connection.
    pub(super) fn leave(&mut self, connection: u64) -> Option<Member> {
        let id = self.of(connection)?.text();
        let (_, connections) = self.0.get_mut(&id)?;
        connections.remove(&connection);
        if !connections.is_empty() {
            return None;
        }
        self.0.remove(&id).map(|(member, _)| member)
    }

    /// The member of this connection.
    pub(super) fn of(&self, connection: u64) -> Option<&Member> {
        let mut all = self.0.values();
        all.find(|(_, connections)| connections.contains(&connection)).map(|(member, _)| member)
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// All members, as a new subscriber receives them.
    pub(super) fn presence(&self, style: PresenceStyle) -> Value {
        let members = || self.0.values().map(|(member, _)| member);
        let info = |member: &Member| member.info.clone().unwrap_or_default();
        let hash: Map<String, Value> =
            members().map(|member| (member.text(), info(member))).collect();
        let hash = if style == PresenceStyle::EmptyHash { json!([]) } else { hash.into() };
        let mut presence = Map::new();
        presence.insert("count".to_owned(), self.0.len().into());
        presence.insert("hash".to_owned(), hash);
        if style != PresenceStyle::NoIds {
            let ids: Vec<Value> = members().map(|member| member.id(style)).collect();
            presence.insert("ids".to_owned(), ids.into());
        }
        json!({"presence": presence})
    }
}

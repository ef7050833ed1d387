//! One-of settings: the mechanism by which a newcomer adds a method, a policy or a model with one line.
//!
//! [`one_of!`](crate::one_of) turns a list of `key => Variant(Config)` lines into everything that a setting needs:
//! the enum that the scenario holds, its YAML form (externally tagged, or the bare key when every setting of the
//! variant has a default), its JSON Schema, its rows in `straggler list`, and access to the implementation: a variant's
//! config implements the room's trait. A last line `list => Variant(Config);` lets a list of choices be written too, which
//! `Config` reads and carries out.

use serde::de::DeserializeOwned;

/// One thing that can be named in a scenario, as shown by `straggler list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The setting it is a value of, such as `tuning`.
    pub setting: &'static str,
    /// The YAML key, such as `lora`.
    pub key: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
}

/// Something wrong with a setting: found by the config's own check, shown with file and line by the scenario room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path of the setting, relative to the config that found it; empty for the config as a whole.
    pub path: String,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem of the setting at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem, as settings see it that hold this config at `path`.
    #[must_use]
    pub fn below(mut self, path: &str) -> Self {
        self.path = if self.path.is_empty() { path.into() } else { format!("{path}.{}", self.path) };
        self
    }
}

/// True when a config can be written as the bare key, because each of its fields has a default.
pub fn has_only_defaults<T: DeserializeOwned>() -> bool {
    serde_json::from_value::<T>(serde_json::Value::Object(serde_json::Map::new())).is_ok()
}

/// Declares a one-of setting. See the [module](crate::registry) for what it generates.
///
/// ```ignore
/// one_of! {
///     /// How updates become the next global model.
///     pub enum StrategyConfig: dyn Strategy, setting "server.strategy" {
///         "fedavg" => FedAvg(fedavg::FedAvgConfig), "mean of the updates, weighted by samples or uniform";
///     }
/// }
/// ```
#[macro_export]
macro_rules! one_of {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: dyn $implements:path, setting $setting:literal {
            $($key:literal => $variant:ident($config:ty), $summary:literal;)+
            $(list => $list:ident($listed:ty);)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub enum $name {
            $(#[doc = $summary] #[serde(rename = $key)] $variant($config),)+
            $(#[doc = "Several of them together."] #[serde(untagged)] $list($listed),)?
        }

        impl $name {
            /// What can be written here, in the order of `straggler list`.
            pub const ENTRIES: &'static [$crate::registry::Entry] = &[
                $($crate::registry::Entry { setting: $setting, key: $key, summary: $summary },)+
            ];

            /// The YAML key of the chosen variant; `list` for several.
            pub fn key(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $key,)+
                    $(Self::$list(_) => "list",)?
                }
            }

            /// The chosen variant's implementation.
            pub fn implementation(&self) -> &(dyn $implements + 'static) {
                match self {
                    $(Self::$variant(config) => config,)+
                    $(Self::$list(config) => config,)?
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct OneOf;
                impl<'de> serde::de::Visitor<'de> for OneOf {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("one of", $(" `", $key, "`",)+))
                    }

                    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<$name, E> {
                        let empty = || serde::de::value::MapDeserializer::<_, E>::new(
                            std::iter::empty::<(&str, &str)>());
                        match key {
                            $($key => <$config as serde::Deserialize>::deserialize(empty()).map($name::$variant),)+
                            _ => Err(E::unknown_variant(key, &[$($key),+])),
                        }
                    }

                    $(fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<$name, A::Error> {
                        let items = serde::de::value::SeqAccessDeserializer::new(seq);
                        <$listed as serde::Deserialize>::deserialize(items).map($name::$list)
                    })?

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        use serde::de::Error;
                        let Some(key) = map.next_key::<String>()? else {
                            return Err(A::Error::custom(concat!("expected one of", $(" `", $key, "`",)+)));
                        };
                        let value = match key.as_str() {
                            $($key => $name::$variant(map.next_value()?),)+
                            _ => return Err(A::Error::unknown_variant(&key, &[$($key),+])),
                        };
                        match map.next_key::<String>()? {
                            None => Ok(value),
                            Some(second) => Err(A::Error::custom(format!(
                                "exactly one may be chosen, found `{key}` and `{second}`"))),
                        }
                    }
                }
                deserializer.deserialize_any(OneOf)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut bare: Vec<&str> = Vec::new();
                let mut choices: Vec<serde_json::Value> = Vec::new();
                $(
                    if $crate::registry::has_only_defaults::<$config>() {
                        bare.push($key);
                    }
                    choices.push(serde_json::json!({
                        "type": "object",
                        "description": $summary,
                        "properties": { $key: generator.subschema_for::<$config>() },
                        "required": [$key],
                        "additionalProperties": false,
                    }));
                )+
                if !bare.is_empty() {
                    choices.push(serde_json::json!({ "type": "string", "enum": bare }));
                }
                $(choices.push(generator.subschema_for::<$listed>().to_value());)?
                schemars::json_schema!({ "oneOf": choices, "x-one-of": $setting })
            }
        }
    };
}

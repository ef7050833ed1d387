//! Where the hub is, where its files are kept, and who asks.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How the hub is used. The environment variables are those of `huggingface_hub`.
#[derive(Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// The hub's address without a slash behind it: `HF_ENDPOINT`, else `https://huggingface.co`.
    pub endpoint: String,
    /// The folder of the cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, which is `~/.cache/huggingface` by default.
    pub cache: PathBuf,
    /// Who asks: `HF_TOKEN`, else the content of `HF_TOKEN_PATH` or `$HF_HOME/token`.
    pub token: Option<String>,
    /// Use the cache alone: `HF_HUB_OFFLINE`.
    pub is_offline: bool,
    /// Attempts at a request that fails for a passing reason, >= 1.
    pub attempts: u32,
    /// Time before the second attempt; doubled before each further one.
    pub backoff: Duration,
    /// Longest time to wait for a connection, and for the next bytes of an answer.
    pub patience: Duration,
}

/// The token stays out of messages and logs.
impl std::fmt::Debug for HubSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "hidden");
        f.debug_struct("HubSettings")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &token)
            .field("is_offline", &self.is_offline)
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("patience", &self.patience)
            .finish()
    }
}

impl HubSettings {
    /// Settings with a cache of their own and nothing from the environment.
    pub fn new(endpoint: impl Into<String>, cache: impl Into<PathBuf>) -> Self {
        let endpoint: String = endpoint.into();
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            cache: cache.into(),
            token: None,
            is_offline: false,
            attempts: 5,
            backoff: Duration::from_secs(1),
            patience: Duration::from_secs(30),
        }
    }

    /// What the environment of this process says.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// What the variables say; one that is empty counts as absent.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let user = path("HOME").unwrap_or_else(|| ".".into());
        let home = path("HF_HOME")
            .map(|home| expanded(home, &user))
            .unwrap_or_else(|| path("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache")).join("huggingface"));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.map_or_else(|| home.join("hub"), |cache| expanded(cache, &user));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let token = token.or_else(|| std::fs::read_to_string(token_file).ok());
        let is_on = |name: &str| text(name).is_some_and(|value| is_true(&value));
        Self {
            token: token.map(|token| token.trim().to_string()).filter(|token| !token.is_empty()),
            is_offline: is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE"),
            ..Self::new(text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into()), cache)
        }
    }
}

/// What `huggingface_hub` takes for true.
fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

/// `~/folder` is below the user's folder.
fn expanded(path: PathBuf, user: &Path) -> PathBuf {
    path.strip_prefix("~").map(|rest| user.join(rest)).unwrap_or(path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_variables(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_variables_of_huggingface_hub_are_honoured() {
        let plain = of(&[("HOME", "/home/ada")]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache, Path::new("/home/ada/.cache/huggingface/hub"));
        assert!(!plain.is_offline && plain.token.is_none());
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).cache, Path::new("/x/huggingface/hub"));
        assert_eq!(of(&[("HOME", "/h"), ("HF_HOME", "~/hf")]).cache, Path::new("/h/hf/hub"));
        assert_eq!(of(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
        let all = of(&[("HF_ENDPOINT", "http://mirror/"), ("HF_TOKEN", " secret\n"), ("HF_HUB_OFFLINE", "on")]);
        assert_eq!((all.endpoint.as_str(), all.token.as_deref()), ("http://mirror", Some("secret")));
        assert!(all.is_offline && !of(&[("HF_HUB_OFFLINE", "0")]).is_offline);
        assert!(!format!("{all:?}").contains("secret"));
    }

    #[test]
    fn a_token_is_read_from_its_file() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "from-file\n").unwrap();
        let home = home.path().to_str().unwrap();
        assert_eq!(of(&[("HF_HOME", home)]).token.as_deref(), Some("from-file"));
        assert_eq!(of(&[("HF_HOME", home), ("HF_TOKEN", "given")]).token.as_deref(), Some("given"));
    }
}

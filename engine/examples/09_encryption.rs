//! Keeps a store unreadable for whoever finds its disk: keys are the host's, and are replaced without a pause.

use std::sync::{Arc, Mutex, PoisonError};

use onceward::encryption::{EncryptionKey, KeyId, KeyProvider};
use onceward::{Config, Event, Key, Payload, Result, Scope, Store, Verdict};

/// Keys by age, the last one current. A real host has them in a key store, never beside the data.
struct Keys(Mutex<Vec<(KeyId, EncryptionKey)>>);

impl Keys {
    fn add(&self, name: &str) -> Result<()> {
        let key = (KeyId::new(name)?, EncryptionKey::generate()?);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        Ok(())
    }
}

impl KeyProvider for Keys {
    fn current(&self) -> Result<(KeyId, EncryptionKey)> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.last().cloned().expect("a key was added"))
    }

    fn get(&self, id: &KeyId) -> Result<Option<EncryptionKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.iter().find(|(known, _)| known == id).map(|(_, key)| key.clone()))
    }
}

/// Runs the example.
pub(crate) fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().join("till");
    let keys = Arc::new(Keys(Mutex::default()));
    keys.add("2026-q3")?;
    let config = Config::new().with_encryption(keys.clone());

    let store = Store::open(&dir, config.clone())?;
    let payload = Payload::json(r#"{"card":"4111 1111 1111 1111"}"#)?;
    let sale = Event::new(Scope::default(), Key::new("till-7-000042")?, payload);
    store.capture(&sale)?;
    store.close()?;

    // Without the key the store is refused, and nothing of it is touched.
    let refused = Store::open(&dir, Config::new()).expect_err("it is encrypted");
    assert_eq!(refused.code(), "KEY_NEEDED");
    // That every byte is what was written can be told without it.
    assert_eq!(onceward::inspect::verify(&dir)?.damage, []);

    // A new key: from the next segment of the log on, which each opening begins.
    keys.add("2026-q4")?;
    let store = Store::open(&dir, config)?;
    assert!(matches!(store.capture(&sale)?, Verdict::Duplicate { .. }));
    // The old one is needed until what was written under it is settled and gone.
    assert!(store.keys_in_use()?.contains(&KeyId::new("2026-q3")?));
    store.close()?;
    Ok(())
}

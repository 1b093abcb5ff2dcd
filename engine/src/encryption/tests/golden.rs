//! The bytes of an encrypted store are those of the format documents.
//! Method: fixed keys and a fixed nonce, where otherwise each is random.

use std::sync::Arc;

use onceward_vfs::SimVfs;
use onceward_vfs::testing::assert_golden;
use onceward_wal::{
    Alignment, DataKey, Identity, KeyRefusal, Log, NewFrame, Options, Preparation, Purpose,
    SEGMENT_BYTES_MIN, Sealing, Stamp, WrappedKey,
};

use super::super::cipher::Cipher;
use super::super::wrap::{Keyring, key_id_of, wrap};
use super::{files, id};
use crate::encryption::{EncryptionKey, FixedKey};

/// Key of the host, data key, nonce.
const BYTES: (u8, u8, u8) = (0x11, 0x22, 0x33);

/// Always the same data key.
#[derive(Debug)]
struct Fixed;

fn wrapping() -> EncryptionKey {
    EncryptionKey::from_bytes([BYTES.0; 32])
}

fn data() -> EncryptionKey {
    EncryptionKey::from_bytes([BYTES.1; 32])
}

impl Sealing for Fixed {
    fn new_key(
        &self,
        store: &[u8; 16],
        number: u64,
    ) -> Result<(WrappedKey, Arc<dyn DataKey>), KeyRefusal> {
        let with = (&id(1), &Cipher::new(&wrapping()));
        let wrapped = wrap(with, (store, number), [BYTES.2; 12], &data());
        Ok((wrapped, Arc::new(Cipher::new(&data()))))
    }

    fn open_key(
        &self,
        _store: &[u8; 16],
        _number: u64,
        _wrapped: &WrappedKey,
    ) -> Result<Arc<dyn DataKey>, KeyRefusal> {
        Ok(Arc::new(Cipher::new(&data())))
    }

    fn is_current(&self, _wrapped: &WrappedKey) -> Result<bool, KeyRefusal> {
        Ok(true)
    }
}

fn store() -> [u8; 16] {
    std::array::from_fn(|i| u8::try_from(i).unwrap())
}

#[test]
fn a_wrapped_key_of_an_encrypted_store_has_the_bytes_of_the_format_document() {
    let (wrapped, _) = Fixed.new_key(&store(), 1).unwrap();
    assert_golden(&wrapped, include_str!("../../../FORMAT.md"), "wrapped-key");
    assert_eq!(key_id_of(&wrapped), Some(id(1)));
    let keyring = Keyring::new(Arc::new(FixedKey::new(id(1), wrapping())));
    assert!(keyring.open_key(&store(), 1, &wrapped).is_ok());
    for (store, number) in [(store(), 2), ([0; 16], 1)] {
        let error = keyring.open_key(&store, number, &wrapped).unwrap_err();
        assert!(error.is_foreign, "{error:?}");
    }
    for at in 0..wrapped.len() {
        let mut forged = wrapped;
        forged[at] ^= 1;
        assert!(keyring.open_key(&store(), 1, &forged).is_err(), "byte {at} is vouched for");
    }
}

#[test]
fn an_encrypted_segment_has_the_bytes_of_the_format_document() {
    let disk = Arc::new(SimVfs::new());
    let mut secret = [0; 64];
    secret.iter_mut().zip(0xa0..0xb0).for_each(|(to, from)| *to = from);
    let identity = Identity { store: store(), secret };
    let lock = onceward_wal::lock(&*disk).unwrap();
    onceward_wal::create_sealed(&*disk, &lock, identity, &Fixed).unwrap();
    let sealing: Arc<dyn Sealing> = Arc::new(Fixed);
    let examined = onceward_wal::examine_with(&*disk, Some(&sealing), &mut |_| {});
    let examined = examined.unwrap().unwrap();
    assert_eq!(examined.identity().secret, secret);
    let options = Options {
        segment_bytes: SEGMENT_BYTES_MIN,
        reserve: 0,
        preparation: Preparation::OnDemand,
        alignment: Alignment::Frame,
    };
    let log = Log::start(disk.clone(), lock, examined, options, Stamp::default()).unwrap();
    let parts: [&[u8]; 1] = [b"hi"];
    let frame = NewFrame { kind: 16, flags: 0, parts: &parts };
    let appended = log.append(frame, 1_000, Purpose::Capture).unwrap();
    assert_eq!((log.bytes_of(&frame), appended.bytes_of(&frame)), (48, 48));
    let all = files(&disk);
    let (_, segment) = all.iter().find(|(name, _)| name.starts_with("log/")).unwrap();
    let document = include_str!("../../../../wal/FORMAT.md");
    assert_golden(&segment[..256], document, "sealed-header");
    assert_golden(&segment[4096..4096 + 214], document, "sealed-run");
    let at = usize::try_from(appended.place.offset).unwrap();
    assert_eq!(at, 4096 + 216);
    assert_golden(&segment[at..at + 48], document, "sealed-frame");
    let found = log.read(appended.place, 48, appended.first).unwrap();
    assert_eq!((found.frame().unwrap().body, found.frame().unwrap().bytes()), (&b"hi"[..], 48));
}

//! Whom a line trusts, and what it shows of this terminal.

use std::path::Path;

use super::tls::{Authorities, Identity, Pin, Terms, Tls};
use super::{Line, proxy, roots, way};
use crate::error::Error;
use crate::secret::Secret;

/// What messages call certificates that no file holds.
const CERTIFICATES: &str = "certificates";

impl Line {
    /// Trusts the certificates in `pem` and no others, for upstreams with an authority of their own.
    ///
    /// # Errors
    ///
    /// `Invalid`: there is no certificate in `pem`, or something that is damaged.
    pub fn trusting(self, pem: &[u8]) -> Result<Self, Error> {
        let given = roots::read(CERTIFICATES, pem)?;
        self.believing(Authorities::only(given))
    }

    /// The same with the certificates in a file of at most 16 MiB. `named_by` is what messages call the place
    /// where the file was named, such as `--ca`.
    ///
    /// # Errors
    ///
    /// `Io`: the file cannot be read, or is no regular one or too large. `Invalid`: it has no certificate in it, or
    /// something that is damaged.
    pub fn trusting_file(self, named_by: &'static str, path: &Path) -> Result<Self, Error> {
        let given = roots::read(named_by, &roots::read_file(named_by, path)?)?;
        self.believing(Authorities::only(given))
    }

    /// Trusts the certificates in `pem` besides those that are trusted already.
    ///
    /// ```no_run
    /// use onceward_uplink::{Line, Timeouts};
    ///
    /// let authority = std::fs::read("shop-ca.pem")?;
    /// let line = Line::direct("https://hub.shop.example", None, Timeouts::default())?;
    /// let line = line.trusting_also(&authority)?;
    /// // An authority of the web that signs a certificate for this name is of no use then.
    /// let line = line.trusting_only_given()?;
    /// # let _ = line;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Line::trusting`].
    pub fn trusting_also(self, pem: &[u8]) -> Result<Self, Error> {
        let given = roots::read(CERTIFICATES, pem)?;
        let all = self.terms.authorities.clone().and(given);
        self.believing(all)
    }

    /// The same with the certificates in a file, as [`Line::trusting_file`] reads it.
    ///
    /// # Errors
    ///
    /// As [`Line::trusting_file`].
    pub fn trusting_file_also(self, named_by: &'static str, path: &Path) -> Result<Self, Error> {
        let given = roots::read(named_by, &roots::read_file(named_by, path)?)?;
        let all = self.terms.authorities.clone().and(given);
        self.believing(all)
    }

    /// Trusts the certificates in the file that `SSL_CERT_FILE` names and in the files of the directories that
    /// `SSL_CERT_DIR` names, with colons between, besides those that are trusted already, if one of these is set and
    /// the upstream is at an `https` address. Files of such a directory that hold no certificate are passed by, and
    /// beside a file so is what is no directory.
    ///
    /// # Errors
    ///
    /// As [`Line::trusting_file`]; `Invalid` also where no file of those directories has a certificate in it.
    pub fn trusting_environment(self) -> Result<Self, Error> {
        if !self.address.is_https() {
            return Ok(self);
        }
        let given = roots::of_environment(proxy::variable)?;
        let all = self.terms.authorities.clone().and(given);
        self.believing(all)
    }

    /// Trusts none of the authorities that are built in, only those that were given.
    ///
    /// # Errors
    ///
    /// `Invalid`: none was given.
    pub fn trusting_only_given(self) -> Result<Self, Error> {
        let given = self.terms.authorities.clone().only_given();
        let none = || Error::invalid(CERTIFICATES, "no authority was given that could be trusted");
        self.believing(given.ok_or_else(none)?)
    }

    /// Shows a certificate of this terminal to an upstream that asks for one: `chain_pem` has it, and behind it those
    /// between it and the authority that the upstream trusts, and `key_pem` its private key, without a pass phrase.
    /// A proxy is not shown it.
    ///
    /// ```no_run
    /// use onceward_uplink::{Line, Secret, Timeouts};
    ///
    /// let chain = std::fs::read("till-7.pem")?;
    /// let key = Secret::new(std::fs::read_to_string("till-7.key")?);
    /// let line = Line::new("https://hub.example", None, Timeouts::default())?;
    /// let line = line.with_client_certificate(&chain, key)?;
    /// # let _ = line;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`: there is no certificate or no key, one is damaged, or they do not belong together; or the upstream is
    /// not at an `https` address. Nothing of the key is in the message.
    pub fn with_client_certificate(self, chain_pem: &[u8], key_pem: Secret) -> Result<Self, Error> {
        let named_by = ("client certificate", "client key");
        self.showing(named_by, chain_pem, &key_pem)
    }

    /// The same with files, the certificates' first. `named_by` is what messages call the places where they were named.
    ///
    /// # Errors
    ///
    /// As [`Line::with_client_certificate`]. `Io`: a file cannot be read, or is no regular one or too large.
    pub fn with_client_certificate_files(
        self,
        named_by: (&'static str, &'static str),
        certificates: &Path,
        key: &Path,
    ) -> Result<Self, Error> {
        let chain_pem = roots::read_file(named_by.0, certificates)?;
        let key_pem = String::from_utf8(roots::read_file(named_by.1, key)?);
        let key_pem =
            key_pem.map_err(|_holds_the_key| Error::invalid(named_by.1, "is not text"))?;
        self.showing(named_by, &chain_pem, &Secret::new(key_pem))
    }

    /// Refuses an upstream unless a certificate of its chain, from its own to the authority, has one of these keys; the
    /// chain must be valid as well. Those that were pinned before are replaced. A proxy is not held to it.
    ///
    /// ```
    /// use onceward_uplink::{Line, Pin, Timeouts};
    ///
    /// let now = Pin::parse("sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")?;
    /// // Without a second one, no upstream survives the loss of its key.
    /// let spare = Pin::parse("sha256/YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg=")?;
    /// let line = Line::new("https://hub.example", None, Timeouts::default())?;
    /// let line = line.pinning(&[now, spare])?;
    /// # let _ = line;
    /// # Ok::<(), onceward_uplink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`: there is no pin, or the upstream is not at an `https` address.
    pub fn pinning(self, pins: &[Pin]) -> Result<Self, Error> {
        if pins.is_empty() {
            return Err(Error::invalid("pin", "there is none"));
        }
        self.need_https("pin")?;
        let terms = Terms { pins: pins.to_vec(), ..self.terms.clone() };
        self.on(terms)
    }

    /// The line with a certificate of this terminal.
    fn showing(
        self,
        named_by: (&'static str, &'static str),
        chain_pem: &[u8],
        key_pem: &Secret,
    ) -> Result<Self, Error> {
        self.need_https(named_by.0)?;
        let chain = roots::read(named_by.0, chain_pem)?;
        let identity = Some(Identity::new(chain, named_by.1, key_pem)?);
        let terms = Terms { identity, ..self.terms.clone() };
        self.on(terms)
    }

    /// Refuses what has no meaning without TLS, before anybody relies on it.
    fn need_https(&self, argument: &'static str) -> Result<(), Error> {
        if self.address.is_https() {
            return Ok(());
        }
        Err(Error::invalid(argument, "means nothing without TLS: the address must be https"))
    }

    /// What TLS to the upstream is held to.
    #[cfg(feature = "nats")]
    pub(crate) fn tls_config(&self) -> std::sync::Arc<rustls::ClientConfig> {
        self.tls.strict()
    }

    /// The line with other trusted certificates.
    fn believing(self, authorities: Authorities) -> Result<Self, Error> {
        let terms = Terms { authorities, ..self.terms.clone() };
        self.on(terms)
    }

    /// The line on other terms. Connections are not kept.
    fn on(self, terms: Terms) -> Result<Self, Error> {
        let tls = Tls::new(&self.address, &terms)?;
        let way = (self.via.as_ref(), &tls);
        let agent = way::agent(&self.address, self.timeouts, way, &self.opened);
        Ok(Self { terms, tls, agent, ..self })
    }
}

//! A connection whose other end was checked.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ClientConnection, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Bytes that only the other end can read.
pub(in crate::line) struct TlsTransport {
    /// What was read and not used, and what is to be written.
    buffers: LazyBuffers,
    /// The connection.
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl TlsTransport {
    /// Shakes hands over `inner`, within `timeout`.
    pub(super) fn open(
        mut connection: ClientConnection,
        inner: impl Transport,
        details: &ConnectionDetails<'_>,
        timeout: NextTimeout,
    ) -> Result<Self, Error> {
        let inner: Box<dyn Transport> = Box::new(inner);
        let mut sock = TransportAdapter::new(inner, Arc::clone(&details.current_time));
        sock.set_timeout(timeout);
        // Until the certificate is checked, and the other end has shown that it has the key of it.
        while connection.is_handshaking() {
            connection.complete_io(&mut sock)?;
        }
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        let buffers = LazyBuffers::new(input, output);
        Ok(Self { buffers, stream: StreamOwned::new(connection, sock) })
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

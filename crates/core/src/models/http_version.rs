//! Which HTTP a request is made over.

words! {
    /// See the module.
    #[derive(Default)]
    HttpVersion {
        /// HTTP/1.1.
        #[default]
        One = "1.1",
        /// HTTP/2 and nothing else: over TLS it is the only protocol offered, without TLS the server
        /// must know it beforehand.
        Two = "2",
        /// Over TLS whichever of the two the server chooses; without TLS HTTP/1.1.
        Auto = "auto",
    }
}

impl HttpVersion {
    /// The default, which is not written down.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

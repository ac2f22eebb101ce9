use std::ops::RangeInclusive;

/// One algorithm of RFC 7518 or RFC 8037, and all that it asks of a key and a signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Algorithm {
    pub name: &'static str,
    /// The `kty` of its keys.
    pub kind: &'static str,
    /// The `crv` of its keys; empty where keys have none.
    pub curve: &'static str,
    /// How long its signatures are, in bytes.
    pub signature: RangeInclusive<usize>,
}

const fn hmac(name: &'static str, length: usize) -> Algorithm {
    Algorithm { name, kind: "oct", curve: "", signature: length..=length }
}

/// Signatures are as long as the key: 2048 to 8192 bits.
const fn rsa(name: &'static str) -> Algorithm {
    Algorithm { name, kind: "RSA", curve: "", signature: 256..=1024 }
}

const fn curve(
    name: &'static str,
    kind: &'static str,
    curve: &'static str,
    length: usize,
) -> Algorithm {
    Algorithm { name, kind, curve, signature: length..=length }
}

/// Those that are known. `none` is not among them.
pub static ALGORITHMS: [Algorithm; 13] = [
    hmac("HS256", 32),
    hmac("HS384", 48),
    hmac("HS512", 64),
    rsa("RS256"),
    rsa("RS384"),
    rsa("RS512"),
    rsa("PS256"),
    rsa("PS384"),
    rsa("PS512"),
    curve("ES256", "EC", "P-256", 64),
    curve("ES384", "EC", "P-384", 96),
    curve("ES512", "EC", "P-521", 132),
    curve("EdDSA", "OKP", "Ed25519", 64),
];

/// The algorithm of that name, which is compared with its case.
pub fn find(name: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
}

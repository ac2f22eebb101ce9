use std::borrow::Cow;

/// Path and query of a request, percent-encoded as the client sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    bytes: Vec<u8>,
    path_length: usize,
    /// Whether the path has neither escapes, nor bytes that should be, nor segments that begin with a dot.
    plain: bool,
}

impl Target {
    /// Splits `bytes` at the first question mark.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut plain = true;
        let mut before = b'/';
        let path_length = bytes.iter().position(|&byte| {
            plain &= byte != b'%' && byte.is_ascii() && !(byte == b'.' && before == b'/');
            before = byte;
            byte == b'?'
        });
        Target { path_length: path_length.unwrap_or(bytes.len()), bytes, plain }
    }

    /// The whole target.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What stands before the question mark.
    pub fn path(&self) -> &[u8] {
        &self.bytes[..self.path_length]
    }

    /// The path in one spelling: escapes of characters that need none are decoded, the others get capital
    /// digits, and so do bytes that are no ASCII (RFC 3986 section 6.2.2). `None` when a segment is `.` or `..`, or a `%` begins no escape:
    /// what such a path means depends on who reads it.
    pub fn normal_path(&self) -> Option<Cow<'_, [u8]>> {
        match self.plain {
            true => Some(Cow::Borrowed(self.path())),
            false => normalize(self.path()).map(Cow::Owned),
        }
    }

    /// What stands after the question mark; `None` when there is no question mark.
    pub fn query(&self) -> Option<&[u8]> {
        self.bytes.get(self.path_length + 1..)
    }

    /// The query's parameters as they were sent: name and value, still encoded. A parameter without `=`
    /// has an empty value; empty ones (`a&&b`) are left out.
    pub fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.query()
            .unwrap_or_default()
            .split(|&byte| byte == b'&')
            .filter(|parameter| !parameter.is_empty())
            .map(split_parameter)
    }

    /// The decoded values of the parameters whose decoded name is `name`.
    pub fn parameter(&self, name: &str) -> impl Iterator<Item = Vec<u8>> {
        self.parameters()
            .filter(move |(key, _)| encodes(key, name))
            .map(|(_, value)| percent_decode(value))
    }

    /// This target without the parameters whose decoded name is `name`; everything else keeps its
    /// spelling and order.
    pub fn without_parameter(&self, name: &str) -> Vec<u8> {
        let mut kept = self.path().to_vec();
        let mut separator = b'?';
        for parameter in self.query().unwrap_or_default().split(|&byte| byte == b'&') {
            if parameter.is_empty() || encodes(split_parameter(parameter).0, name) {
                continue;
            }
            kept.push(separator);
            kept.extend_from_slice(parameter);
            separator = b'&';
        }
        kept
    }
}

/// Decodes `%XX`, and `+` as a space, the way HTML forms encode queries. A `%` that no two hexadecimal
/// digits follow stays as it is.
pub fn percent_decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => decoded.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            _ => decoded.push(first),
        }
    }
    decoded
}

fn normalize(path: &[u8]) -> Option<Vec<u8>> {
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            match first.is_ascii() {
                true => normal.push(first),
                false => push_escape(&mut normal, first),
            }
            continue;
        }
        let [high, low, after @ ..] = tail else { return None };
        let decoded = hex(*high)? << 4 | hex(*low)?;
        match decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded) {
            true => normal.push(decoded),
            false => push_escape(&mut normal, decoded),
        }
        rest = after;
    }
    let mut segments = normal.split(|&byte| byte == b'/');
    if segments.any(|segment| segment == b"." || segment == b"..") {
        return None;
    }
    Some(normal)
}

fn push_escape(to: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    to.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
}

/// The value of one hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

fn split_parameter(parameter: &[u8]) -> (&[u8], &[u8]) {
    match parameter.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&parameter[..equals], &parameter[equals + 1..]),
        None => (parameter, b""),
    }
}

/// Whether `key`, decoded, is `name`.
fn encodes(key: &[u8], name: &str) -> bool {
    if key.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return percent_decode(key) == name.as_bytes();
    }
    key == name.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::new(text.as_bytes().to_vec())
    }

    #[test]
    fn splits_path_and_query() {
        let cases = [
            ("/", "/", None),
            ("/a?", "/a", Some("")),
            ("/a?b=c?d", "/a", Some("b=c?d")),
            ("", "", None),
        ];
        for (text, path, query) in cases {
            let target = target(text);
            assert_eq!(target.path(), path.as_bytes(), "{text}");
            assert_eq!(target.query(), query.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn finds_parameters_by_decoded_name() {
        let target = target("/?key=1&k%65y=a%2Bb+c&&other&keys=2");
        let values: Vec<_> = target.parameter("key").collect();
        assert_eq!(values, [b"1".to_vec(), b"a+b c".to_vec()]);
        assert_eq!(target.parameter("other").collect::<Vec<_>>(), [b""]);
        assert_eq!(target.parameter("absent").count(), 0);
    }

    #[test]
    fn removes_every_spelling_of_a_parameter() {
        let cases = [
            ("/p?key=1", "/p"),
            ("/p?key=1&a=2", "/p?a=2"),
            ("/p?a=%20&key&k%65y=3&b", "/p?a=%20&b"),
            ("/p?keys=1", "/p?keys=1"),
            ("/p", "/p"),
        ];
        for (text, want) in cases {
            assert_eq!(target(text).without_parameter("key"), want.as_bytes(), "{text}");
        }
    }

    #[test]
    fn paths_have_one_spelling() {
        let cases = [
            ("/a/b", Some("/a/b")),
            ("/%61%2fb%c3%A9", Some("/a%2Fb%C3%A9")),
            ("/é/%c3%a9", Some("/%C3%A9/%C3%A9")),
            ("/a/...", Some("/a/...")),
            ("//a", Some("//a")),
            ("/a/../b", None),
            ("/a/%2E%2e/b", None),
            ("/.%2e", None),
            ("/./b", None),
            ("..", None),
            ("/a/..", None),
            ("/.well-known/b", Some("/.well-known/b")),
            ("/%", None),
            ("/%4", None),
            ("/%zz", None),
        ];
        for (path, want) in cases {
            let target = target(&format!("{path}?/../%"));
            let got = target.normal_path();
            assert_eq!(got.as_deref(), want.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn decoding_keeps_what_is_not_an_escape() {
        let cases = [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%41%", "A%"), ("%%41", "%A")];
        for (encoded, want) in cases {
            assert_eq!(percent_decode(encoded.as_bytes()), want.as_bytes(), "{encoded}");
        }
    }
}

//! Cache-Control (RFC 9111 section 5.2): what requests and responses say about caching.

use std::borrow::Cow;

/// A number of seconds, at most what RFC 9111 section 1.2.2 asks a cache to tell apart.
pub const MAX_SECONDS: u32 = 1 << 31;

/// What a directive says whose value is a number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delta {
    #[default]
    Absent,
    Seconds(u32),
    /// There, but not a number; or there twice with different ones.
    Invalid,
}

impl Delta {
    /// The seconds, with 0 for what can't be read: invalid freshness is none.
    pub fn or_stale(self) -> Option<u32> {
        match self {
            Delta::Absent => None,
            Delta::Seconds(seconds) => Some(seconds),
            Delta::Invalid => Some(0),
        }
    }

    /// The seconds, if they can be read.
    pub fn valid(self) -> Option<u32> {
        match self {
            Delta::Seconds(seconds) => Some(seconds),
            _ => None,
        }
    }

    fn see(&mut self, directive: &Directive) {
        let seen = match directive.value.as_deref().and_then(seconds) {
            Some(seconds) if directive.sound => Delta::Seconds(seconds),
            _ => Delta::Invalid,
        };
        *self = if *self == Delta::Absent || *self == seen { seen } else { Delta::Invalid };
    }
}

/// A directive that holds for the whole response, or for the fields that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    None,
    /// Names in lower case.
    Fields(Vec<String>),
    Whole,
}

impl Scope {
    fn see(&mut self, directive: &Directive) {
        let names = directive.value.as_deref().filter(|_| directive.sound).and_then(field_names);
        match (&mut *self, names) {
            (Scope::None, Some(names)) => *self = Scope::Fields(names),
            (Scope::Fields(known), Some(names)) => known.extend(names),
            (_, None) => *self = Scope::Whole,
            (Scope::Whole, _) => {}
        }
    }

    /// The fields that it is limited to.
    pub fn fields(&self) -> &[String] {
        match self {
            Scope::Fields(names) => names,
            _ => &[],
        }
    }
}

/// What a response says, RFC 5861 included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseDirectives {
    pub max_age: Delta,
    pub s_maxage: Delta,
    pub no_store: bool,
    pub no_cache: Scope,
    pub private: Scope,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub stale_while_revalidate: Option<u32>,
    pub stale_if_error: Option<u32>,
}

impl ResponseDirectives {
    /// Reads all lines of a Cache-Control field.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all = ResponseDirectives::default();
        for directive in lines.flat_map(Directives::new) {
            all.see(&directive);
        }
        all
    }

    /// Takes in one directive. What restricts a cache counts also where it is malformed, what frees it
    /// does not.
    pub fn see(&mut self, directive: &Directive) {
        match directive.name.to_ascii_lowercase().as_slice() {
            b"max-age" => self.max_age.see(directive),
            b"s-maxage" => self.s_maxage.see(directive),
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache.see(directive),
            b"private" => self.private.see(directive),
            b"public" => self.public |= directive.sound,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"stale-while-revalidate" => self.stale_while_revalidate = directive.seconds(),
            b"stale-if-error" => self.stale_if_error = directive.seconds(),
            _ => {}
        }
    }

    /// Whether a stale response must not be used without asking (RFC 9111 section 4.2.4). Also
    /// `s-maxage` says so, by section 5.2.2.10.
    pub fn forbids_stale(&self) -> bool {
        self.must_revalidate || self.proxy_revalidate || self.s_maxage != Delta::Absent
    }
}

/// What a request says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    pub no_cache: bool,
    pub no_store: bool,
    pub only_if_cached: bool,
    /// The greatest age that is wanted.
    pub max_age: Option<u32>,
    /// How much longer it should be fresh.
    pub min_fresh: Option<u32>,
    /// How stale it may be.
    pub max_stale: Option<u32>,
    pub stale_if_error: Option<u32>,
}

impl RequestDirectives {
    /// Reads all lines of a Cache-Control field.
    pub fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut all = RequestDirectives::default();
        for directive in lines.flat_map(Directives::new) {
            match directive.name.to_ascii_lowercase().as_slice() {
                b"no-cache" => all.no_cache = true,
                b"no-store" => all.no_store = true,
                b"only-if-cached" => all.only_if_cached = true,
                b"max-age" => all.max_age = Some(directive.seconds().unwrap_or(0)),
                b"min-fresh" => all.min_fresh = Some(directive.seconds().unwrap_or(MAX_SECONDS)),
                b"max-stale" if directive.value.is_none() && directive.sound => {
                    all.max_stale = Some(MAX_SECONDS);
                }
                b"max-stale" => all.max_stale = directive.seconds(),
                b"stale-if-error" => all.stale_if_error = directive.seconds(),
                _ => {}
            }
        }
        all
    }
}

/// One member of the list.
#[derive(Debug, PartialEq, Eq)]
pub struct Directive<'a> {
    /// As it was written.
    pub name: &'a [u8],
    /// Without quotes; `None` where there is no `=`.
    pub value: Option<Cow<'a, [u8]>>,
    /// Whether nothing else stood between the commas.
    pub sound: bool,
}

impl Directive<'_> {
    fn seconds(&self) -> Option<u32> {
        self.value.as_deref().and_then(seconds).filter(|_| self.sound)
    }
}

/// The members of one field line. What is no directive is skipped up to the next comma.
pub struct Directives<'a> {
    rest: &'a [u8],
}

impl<'a> Directives<'a> {
    pub fn new(line: &'a [u8]) -> Self {
        Directives { rest: line }
    }

    fn value(&mut self) -> (Option<Cow<'a, [u8]>>, bool) {
        let Some(rest) = self.rest.strip_prefix(b"=") else { return (None, true) };
        self.rest = rest;
        match rest.first() {
            Some(b'"') => {
                let (text, after, closed) = unquote(rest);
                self.rest = after;
                (Some(text), closed)
            }
            _ => (Some(Cow::Borrowed(self.take_token())), true),
        }
    }

    fn take_token(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !is_token(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    /// Skips to the next comma outside of quotes. Reports whether there was nothing but space.
    fn skip_member(&mut self) -> bool {
        let mut clean = true;
        while let Some(&byte) = self.rest.first() {
            match byte {
                b',' => break,
                b'"' => {
                    self.rest = unquote(self.rest).1;
                    clean = false;
                    continue;
                }
                b' ' | b'\t' => {}
                _ => clean = false,
            }
            self.rest = &self.rest[1..];
        }
        clean
    }
}

impl<'a> Iterator for Directives<'a> {
    type Item = Directive<'a>;

    fn next(&mut self) -> Option<Directive<'a>> {
        loop {
            while let Some((b',' | b' ' | b'\t', rest)) = self.rest.split_first() {
                self.rest = rest;
            }
            if self.rest.is_empty() {
                return None;
            }
            let name = self.take_token();
            if name.is_empty() {
                self.skip_member();
                continue;
            }
            let (value, whole) = self.value();
            let clean = self.skip_member();
            return Some(Directive { name, value, sound: whole && clean });
        }
    }
}

/// Reads a quoted string at the beginning of `text`: what it says, what follows, whether it was closed.
pub fn unquote(text: &[u8]) -> (Cow<'_, [u8]>, &[u8], bool) {
    let inner = &text[1..];
    let plain = inner.iter().position(|&byte| byte == b'"' || byte == b'\\').unwrap_or(inner.len());
    if inner.get(plain) == Some(&b'"') {
        return (Cow::Borrowed(&inner[..plain]), &inner[plain + 1..], true);
    }
    let mut said = inner[..plain].to_vec();
    let mut at = plain;
    while at < inner.len() {
        match inner[at] {
            b'"' => return (Cow::Owned(said), &inner[at + 1..], true),
            b'\\' if at + 1 < inner.len() => at += 1,
            _ => {}
        }
        said.push(inner[at]);
        at += 1;
    }
    (Cow::Owned(said), &[], false)
}

/// Reads `1*DIGIT`; more than a cache has to tell apart is [`MAX_SECONDS`].
pub fn seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = text.iter().fold(0u64, |number, digit| {
        (number * 10 + u64::from(digit - b'0')).min(u64::from(MAX_SECONDS))
    });
    Some(number as u32)
}

/// The names in a list of fields, in lower case; `None` if it is no such list.
pub fn field_names(list: &[u8]) -> Option<Vec<String>> {
    let names =
        list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
    let names: Option<Vec<String>> =
        names.map(|name| ergo_sdk::header_name(std::str::from_utf8(name).ok()?)).collect();
    names.filter(|names| !names.is_empty())
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(lines: &[&str]) -> ResponseDirectives {
        ResponseDirectives::parse(lines.iter().map(|line| line.as_bytes()))
    }

    fn request(line: &str) -> RequestDirectives {
        RequestDirectives::parse([line.as_bytes()].into_iter())
    }

    #[test]
    fn max_age_in_every_spelling() {
        use Delta::*;
        let cases: [(&[&str], Delta); 24] = [
            (&[""], Absent),
            (&["max-age=3600"], Seconds(3600)),
            (&["MaX-aGe=3600"], Seconds(3600)),
            (&["foobar, max-age=3600"], Seconds(3600)),
            (&[" ,, max-age=1 ,"], Seconds(1)),
            (&["max-age=003600"], Seconds(3600)),
            (&["max-age=\"3600\""], Seconds(3600)),
            (&["max-age=\"36\\00\""], Seconds(3600)),
            (&["max-age=2147483649"], Seconds(MAX_SECONDS)),
            (&["max-age=99999999999999999999999"], Seconds(MAX_SECONDS)),
            (&["x=\"max-age=3600\", max-age=1"], Seconds(1)),
            (&["max-age=1, x=\"max-age=3600\""], Seconds(1)),
            (&["x=\"a\\\", max-age=3600\", max-age=1"], Seconds(1)),
            (&["max-age=5", "max-age=5"], Seconds(5)),
            (&["max-age=5, max-age=6"], Invalid),
            (&["max-age='3600'"], Invalid),
            (&["max-age=-3600"], Invalid),
            (&["max-age=3600.0"], Invalid),
            (&["max-age=a"], Invalid),
            (&["max-age"], Invalid),
            (&["max-age="], Invalid),
            (&["max-age =3600"], Invalid),
            (&["max-age= 3600"], Invalid),
            (&["max-age=\"3600"], Invalid),
        ];
        for (lines, want) in cases {
            assert_eq!(response(lines).max_age, want, "{lines:?}");
        }
    }

    #[test]
    fn restrictions_count_even_where_they_are_malformed() {
        let all = response(&["no-store foo, must-revalidate=1; x, private = a, public bar"]);
        assert!(all.no_store && all.must_revalidate && !all.public);
        assert_eq!(all.private, Scope::Whole);
    }

    #[test]
    fn fields_that_directives_name() {
        let fields =
            |names: &[&str]| Scope::Fields(names.iter().map(|&name| name.into()).collect());
        let cases = [
            ("no-cache", Scope::Whole),
            ("no-cache=\"A, b\"", fields(&["a", "b"])),
            ("no-cache=a", fields(&["a"])),
            ("no-cache=\"a\", no-cache=\"b\"", fields(&["a", "b"])),
            ("no-cache=\"a\", no-cache", Scope::Whole),
            ("no-cache, no-cache=\"a\"", Scope::Whole),
            ("no-cache=\"\"", Scope::Whole),
            ("no-cache=\"a b\"", Scope::Whole),
            ("no-cache=\"a", Scope::Whole),
        ];
        for (line, want) in cases {
            assert_eq!(response(&[line]).no_cache, want, "{line}");
        }
    }

    #[test]
    fn the_rest_of_what_responses_say() {
        let all = response(&[
            "s-maxage=1, proxy-revalidate",
            "must-understand, stale-if-error=7, stale-while-revalidate=x",
        ]);
        assert_eq!(all.s_maxage, Delta::Seconds(1));
        assert!(all.proxy_revalidate && all.must_understand && all.forbids_stale());
        assert_eq!((all.stale_if_error, all.stale_while_revalidate), (Some(7), None));
    }

    #[test]
    fn what_requests_say() {
        let all = request("No-Cache, no-store, only-if-cached, max-age=5, min-fresh=6, max-stale");
        assert!(all.no_cache && all.no_store && all.only_if_cached);
        assert_eq!(
            (all.max_age, all.min_fresh, all.max_stale),
            (Some(5), Some(6), Some(MAX_SECONDS))
        );
        let all = request("max-age=x, min-fresh=x, max-stale=x");
        assert_eq!((all.max_age, all.min_fresh, all.max_stale), (Some(0), Some(MAX_SECONDS), None));
        assert_eq!(request("max-stale=9").max_stale, Some(9));
    }

    #[test]
    fn reads_anything_without_end() {
        crate::random::bytes(b"max-age=10,\"\\ no-cache=\x00\xff;", 2000, |text| {
            let members = Directives::new(text).count();
            assert!(members <= text.len());
            response(&[&String::from_utf8_lossy(text)]);
        });
    }
}

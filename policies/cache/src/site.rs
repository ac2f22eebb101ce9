//! References that responses make to their own site (RFC 9111 section 4.4).

/// Where a request went.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    pub scheme: &'a [u8],
    pub host: &'a [u8],
    pub target: &'a [u8],
}

impl Here<'_> {
    /// The target that a reference means; `None` if it leads to another origin or nowhere.
    pub fn resolve(&self, reference: &[u8]) -> Option<Vec<u8>> {
        let reference = reference.trim_ascii();
        let end = reference.iter().position(|&byte| byte == b'#').unwrap_or(reference.len());
        let reference = &reference[..end];
        if let Some(rest) = reference.strip_prefix(b"//") {
            return self.at_host(rest);
        }
        let colon = reference
            .iter()
            .position(|byte| b":/?".contains(byte))
            .filter(|&at| reference[at] == b':');
        if let Some(colon) = colon {
            let (scheme, rest) = reference.split_at(colon);
            let rest = rest.strip_prefix(b"://")?;
            return if scheme.eq_ignore_ascii_case(self.scheme) {
                self.at_host(rest)
            } else {
                None
            };
        }
        let path = self.target.split(|&byte| byte == b'?').next().unwrap_or_default();
        match reference.first() {
            None => Some(self.target.to_vec()),
            Some(b'/') => Some(without_dots(reference)),
            Some(b'?') => Some([path, reference].concat()),
            Some(_) => {
                let folder = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
                Some(without_dots(&[&path[..folder], reference].concat()))
            }
        }
    }

    /// What follows the host of this site.
    fn at_host(&self, rest: &[u8]) -> Option<Vec<u8>> {
        let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        if !self.authority(host).eq_ignore_ascii_case(self.authority(self.host)) {
            return None;
        }
        Some(match target.first() {
            Some(b'/') => without_dots(target),
            _ => [b"/", target].concat(),
        })
    }

    /// A host without the port that its scheme has anyway.
    fn authority<'h>(&self, host: &'h [u8]) -> &'h [u8] {
        let default: &[u8] = if self.scheme == b"https" { b":443" } else { b":80" };
        host.strip_suffix(default).unwrap_or(host)
    }
}

/// RFC 3986 section 5.2.4, for the path of a target.
fn without_dots(target: &[u8]) -> Vec<u8> {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let (path, query) = target.split_at(end);
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        match *segment {
            b"." => {}
            b".." if kept.len() > 1 => {
                kept.pop();
            }
            b".." => {}
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if last {
            kept.push(b"");
        }
    }
    [kept.join(&b'/').as_slice(), query].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_this_origin() {
        let here = Here { scheme: b"http", host: b"Example.com", target: b"/a/b?q" };
        let cases = [
            ("/x", Some("/x")),
            ("/x/../y?z/..", Some("/y?z/..")),
            ("c", Some("/a/c")),
            ("../c", Some("/c")),
            ("../../../c", Some("/c")),
            ("./", Some("/a/")),
            ("..", Some("/")),
            ("", Some("/a/b?q")),
            ("#f", Some("/a/b?q")),
            ("?r", Some("/a/b?r")),
            ("/x#f", Some("/x")),
            ("http://example.com/x", Some("/x")),
            ("HTTP://example.com:80/x", Some("/x")),
            ("http://example.com", Some("/")),
            ("http://example.com?x", Some("/?x")),
            ("//example.com/x", Some("/x")),
            ("https://example.com/x", None),
            ("http://example.com:81/x", None),
            ("http://example.org/x", None),
            ("//example.com.evil.org/x", None),
            ("http://user@example.com/x", None),
            ("mailto:a@example.com", None),
            ("a/b:c", Some("/a/a/b:c")),
        ];
        for (reference, want) in cases {
            assert_eq!(
                here.resolve(reference.as_bytes()).as_deref(),
                want.map(str::as_bytes),
                "{reference}"
            );
        }
    }

    #[test]
    fn resolves_anything() {
        let here = Here { scheme: b"http", host: b"h", target: b"/a" };
        crate::random::bytes(b"/.:?#ht\xff", 3000, |text| {
            if let Some(target) = here.resolve(text) {
                assert_eq!(target.first(), Some(&b'/'), "{text:?}");
            }
        });
    }
}

//! Rules that are many: none twice, none left out.

use super::*;

#[test]
fn a_rule_that_would_never_decide_is_refused() {
    let twice = [
        (r#"{"path":"/a/:x"}"#, r#"{"upstream":"b","path":["/a/:y"]}"#),
        (r#"{"host":["a.example","B.example"]}"#, r#"{"host":["b.example","A.example"]}"#),
        (r#"{"header":{"A":"1","b":true}}"#, r#"{"header":{"B":true,"a":"1"}}"#),
        ("{}", r#"{"retries":2}"#),
        (r#"{"cookie":{"a":{"regex":"x"}}}"#, r#"{"cookie":{"a":{"regex":"x"}},"retries":2}"#),
    ];
    for (first, second) in twice {
        let wrong =
            configure::<Router>(&format!(r#"{{"rules":[{{"path":"/z"}},{first},{second}]}}"#));
        let want = "config.rules[2]: has the conditions of rules[1], so it would never decide";
        assert_eq!(wrong.err().map(|error| error.to_string()).as_deref(), Some(want), "{second}");
    }
    let different = [
        (r#"{"path":"/a"}"#, r#"{"path":"/a/*"}"#),
        (r#"{"path":"/a"}"#, r#"{"path":"/a","method":"GET"}"#),
        (r#"{"header":{"a":"1"}}"#, r#"{"query":{"a":"1"}}"#),
        (r#"{"header":{"a":true}}"#, r#"{"header":{"a":false}}"#),
        (r#"{"header":{"a":"x"}}"#, r#"{"header":{"a":{"regex":"x"}}}"#),
        (r#"{"identity":{"subject":"x"}}"#, r#"{"identity":{"attribute":{"subject":"x"}}}"#),
    ];
    for (first, second) in different {
        policy(&format!(r#"{{"rules":[{first},{second}]}}"#));
    }
}

#[test]
fn routes_come_from_a_text() {
    let policy =
        policy(r#"{"rules":[{"path":"/a","upstream":"a"}],"routes":"[{\"upstream\":\"b\"}]"}"#);
    let mut first = host("GET", "/a");
    let mut second = host("GET", "/b");
    assert_eq!((first.request(&policy), second.request(&policy)), (Flow::Continue, Flow::Continue));
    assert_eq!((first.upstream.as_deref(), second.upstream.as_deref()), (Some("a"), Some("b")));
    let wrong = [
        (r#"{}"#, "config: expected rules, routes, or both"),
        (r#"{"routes":"{}"}"#, "config.routes: not valid JSON: expected '[' at byte 0"),
        (r#"{"routes":"[{},{\"to\":1}]"}"#, "config.routes[1].to: is not a known key"),
        (
            r#"{"routes":"[{},{}]"}"#,
            "config.routes[1]: has the conditions of routes[0], so it would never decide",
        ),
    ];
    for (config, want) in wrong {
        let got = configure::<Router>(config).err().map(|error| error.to_string());
        assert_eq!(got.as_deref(), Some(want), "{config}");
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn path(&mut self, segments: &[&str]) -> String {
        (0..=self.below(4)).map(|_| ["/", self.of(segments)].concat()).collect()
    }
}

/// The index decides as a look at every rule would: random rules, asked random requests.
#[test]
fn the_index_leaves_nothing_out() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..300 {
        let rules: Vec<String> = (0..1 + dice.below(40))
            .map(|number| {
                let mut path = dice.path(&["a", "b", "ab", "abc", ":x", "", "%2F", "a.b"]);
                for name in ["y", "z", "w"] {
                    // Names of their own for all but the last part.
                    if path.matches(":x").count() > 1 {
                        path = path.replacen(":x", &[":", name].concat(), 1);
                    }
                }
                let path = match dice.below(8) {
                    0 => r#","path":{"regex":"/a.*b?"}"#.to_owned(),
                    1 => String::new(),
                    2 | 3 => format!(r#","path":"{}/*""#, path.trim_end_matches('/')),
                    4 => format!(r#","path":["{path}","/b"]"#),
                    _ => format!(r#","path":"{path}""#),
                };
                let host = dice.of(&[
                    "",
                    "",
                    r#","host":"a.example""#,
                    r#","host":["*.example","b.test"]"#,
                ]);
                let method = dice.of(&["", "", "", r#","method":"GET""#]);
                // A query that nobody sends makes every rule different and keeps it from fitting at times.
                let query = match dice.below(2) {
                    0 => format!(r#""query":{{"n{number}":false}}"#),
                    _ => format!(r#""query":{{"n{number}":false,"q":true}}"#),
                };
                format!(r#"{{{query}{path}{host}{method},"hash_key":"{number}"}}"#)
            })
            .collect();
        let config = format!(r#"{{"rules":[{}]}}"#, rules.join(","));
        let router = policy(&config);
        let naive = configure::<Naive>(&config).unwrap();
        for _ in 0..40 {
            let path = dice.path(&["a", "b", "ab", "abc", "abcd", "", "%2f", "a.b", "x"]);
            let target = [&path, dice.of(&["", "?q"])].concat();
            let name = dice.of(&["a.example", "x.a.example", "b.test", "example", "c.test"]);
            let method = dice.of(&["GET", "POST"]);
            let mut got = host(method, &target).header("host", name);
            let mut want = host(method, &target).header("host", name);
            assert_eq!(got.request(&router), want.request(&naive));
            assert_eq!(
                got.hash_key, want.hash_key,
                "{round}: {method} {name} {target} in {config}"
            );
        }
    }
}

/// A router that looks at every rule.
struct Naive(Router);

impl Policy for Naive {
    fn configure(config: &Config) -> Result<Self, ConfigError> {
        Router::configure(config).map(Naive)
    }

    fn request(&self, request: &Request) -> Flow {
        let target = request.target();
        let path = target.normal_path().expect("a path that is not ambiguous");
        let view = View::new(request, &target, &path, self.0.fields);
        let mut captured = Vec::new();
        let fitting = self.0.rules.iter().find(|rule| rule.condition.holds(&view, &mut captured));
        fitting.map_or(Flow::Continue, |rule| rule.action.act(&view, &[]))
    }
}

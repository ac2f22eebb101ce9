// Prints what the suite's command line runs: id, kind and dependencies of each case.
import tests from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

const cases = [...tests, surrogate].flatMap((suite) => suite.tests)
console.log(JSON.stringify(cases.filter((test) => !test.browser_only).map((test) => ({
  id: test.id,
  kind: test.kind ?? 'required',
  after: test.depends_on ?? [],
  name: test.name
}))))

// Prints what the suite has: id, kind and dependencies of each case, and for whom it is.
import tests from 'http-cache-tests/tests/index.mjs'
import surrogate from 'http-cache-tests/tests/surrogate-control.mjs'

const cases = [...tests, surrogate].flatMap((suite) => suite.tests.map((test) => ({
  id: test.id,
  kind: test.kind ?? 'required',
  after: test.depends_on ?? [],
  name: test.name,
  browser: test.browser_only ?? false,
  surrogate: suite === surrogate
})))
console.log(JSON.stringify(cases))

// Has the suite's origin listen on the loopback address alone.
const { Server } = require('node:net')
const listen = Server.prototype.listen

Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...rest)
}

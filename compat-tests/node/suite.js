// Checks node-zookeeper-client against the server given as host:port.
'use strict';

const assert = require('node:assert/strict');
const net = require('node:net');
const { promisify } = require('node:util');
const zookeeper = require('node-zookeeper-client');

const { ACL, CreateMode, Exception, Id, Permission } = zookeeper;
const DEADLINE_MS = 60000;
const SESSION_MS = 40000;
// Short enough to wait for its end; no pause of a busy machine may take as long.
const SHORT_SESSION_MS = 5000;
const server = process.argv[2];

/** Settles as the promise does, or fails at the deadline. */
function soon(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`did not come about in ${DEADLINE_MS} ms: ${what}`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A connected client whose calls return promises and whose watches are collected in `events`. */
class Client {
  constructor(address = server, sessionTimeout = SESSION_MS) {
    this.zk = zookeeper.createClient(address, { sessionTimeout, spinDelay: 50, retries: 0 });
    this.events = [];
    this.watch = (event) => {
      this.events.push(`${event.getName()} ${event.getPath()}`);
      this.zk.emit('watched');
    };
    for (const call
           of ['create', 'remove', 'setData', 'setACL', 'getACL', 'mkdirp', 'removeRecursive']) {
      this[call] = promisify(this.zk[call]).bind(this.zk);
    }
  }

  async connect() {
    const connected = this.state('connected');
    this.zk.connect();
    await connected;
    return this;
  }

  /** The next time the client enters this state. */
  state(name) {
    return soon(name, new Promise((resolve) => { this.zk.once(name, resolve); }));
  }

  close() {
    const gone = this.state('disconnected');
    this.zk.close();
    return gone;
  }

  /** Reads resolve to [value, stat]; `watched` sets this client's watch. */
  read(call, path, watched) {
    return new Promise((resolve, reject) => {
      const done = (error, value, stat) => (error ? reject(error) : resolve([value, stat]));
      this.zk[call](...[path, ...(watched ? [this.watch] : []), done]);
    });
  }

  async expect(...wanted) {
    const all = () => wanted.every((event) => this.events.includes(event));
    await soon(`${wanted}; seen ${this.events}`, new Promise((resolve) => {
      const look = () => {
        if (all()) {
          this.zk.off('watched', look);
          resolve();
        }
      };
      this.zk.on('watched', look);
      look();
    }));
    this.events = this.events.filter((event) => !wanted.includes(event));
  }

  async commit(build) {
    const transaction = build(this.zk.transaction());
    return new Promise((resolve) => {
      transaction.commit((error, results) => resolve([error, results]));
    });
  }
}

/** A relay whose connections can be cut. */
class Relay {
  constructor() {
    this.shut = false;
    this.sockets = new Set();
    this.listener = net.createServer((client) => {
      if (this.shut) {
        client.destroy();
        return;
      }
      const [host, port] = server.split(':');
      const upstream = net.connect({ host, port: Number(port), noDelay: true });
      for (const [from, to] of [[client, upstream], [upstream, client]]) {
        this.sockets.add(from);
        from.on('data', (bytes) => to.write(bytes));
        from.on('error', () => {});
        from.on('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  async start() {
    await new Promise((resolve) => { this.listener.listen(0, '127.0.0.1', resolve); });
    this.address = `127.0.0.1:${this.listener.address().port}`;
    return this;
  }

  set(shut) {
    this.shut = shut;
    this.sockets.forEach((socket) => socket.destroy());
  }
}

function code(name) {
  return (error) => error instanceof Exception && error.code === Exception[name];
}

const checks = {
  async create_read_write_delete() {
    const c = await new Client().connect();
    assert.equal(await c.create('/crud', Buffer.from('one')), '/crud');
    const [data, stat] = await c.read('getData', '/crud');
    assert.equal(data.toString(), 'one');
    assert.equal(stat.version, 0);
    assert.equal(stat.dataLength, 3);
    assert.deepEqual(stat.czxid, stat.mzxid);
    assert.equal((await c.setData('/crud', Buffer.from('two'), 0)).version, 1);
    await c.create('/crud/b');
    await c.create('/crud/a');
    const [children, parent] = await c.read('getChildren', '/crud');
    assert.deepEqual(children.sort(), ['a', 'b']);
    assert.equal(parent.numChildren, 2);
    assert.equal(parent.cversion, 2);
    await c.removeRecursive('/crud', -1);
    assert.deepEqual(await c.read('exists', '/crud'), [null, undefined]);
    await c.close();
  },

  async refusals() {
    const c = await new Client().connect();
    await c.create('/refuse');
    await c.create('/refuse/e', CreateMode.EPHEMERAL);
    await assert.rejects(c.create('/refuse'), code('NODE_EXISTS'));
    await assert.rejects(c.create('/refuse/none/x'), code('NO_NODE'));
    await assert.rejects(c.create('/refuse/e/x'), code('NO_CHILDREN_FOR_EPHEMERALS'));
    await assert.rejects(c.setData('/refuse', Buffer.alloc(0), 5), code('BAD_VERSION'));
    await assert.rejects(c.remove('/refuse', -1), code('NOT_EMPTY'));
    await c.close();
  },

  async znode_kinds() {
    const c = await new Client().connect();
    const other = await new Client().connect();
    await c.create('/kinds');
    await c.create('/kinds/e', CreateMode.EPHEMERAL);
    assert.equal(
      await c.create('/kinds/s', CreateMode.PERSISTENT_SEQUENTIAL), '/kinds/s0000000001');
    assert.equal(await c.create('/kinds/s', CreateMode.EPHEMERAL_SEQUENTIAL), '/kinds/s0000000002');
    const [stat] = await other.read('exists', '/kinds/e');
    assert.deepEqual(stat.ephemeralOwner, c.zk.getSessionId());
    await c.close();
    assert.deepEqual((await other.read('getChildren', '/kinds'))[0], ['s0000000001']);
    await other.close();
  },

  async watches() {
    const c = await new Client().connect();
    const other = await new Client().connect();
    await watches(c, other);
  },

  async chroot() {
    const root = await new Client().connect();
    await root.mkdirp('/chroot/app');
    const c = await new Client(`${server}/chroot/app`).connect();
    await watches(c, await new Client(`${server}/chroot/app`).connect());
    assert.equal(await c.create('/s', CreateMode.EPHEMERAL_SEQUENTIAL), '/s0000000001');
    const [error, results] =
      await c.commit((tx) => tx.create('/m')
                               .create('/m/s', CreateMode.PERSISTENT_SEQUENTIAL)
                               .setData('/m', Buffer.from('x')));
    assert.equal(error, null);
    assert.equal(results.length, 3);
    assert.equal((await root.read('getData', '/chroot/app/m'))[0].toString(), 'x');
    assert.deepEqual((await c.read('getChildren', '/m'))[0], ['s0000000000']);
    await c.close();
    await root.close();
  },

  async transaction() {
    const c = await new Client().connect();
    const [error, results] = await c.commit((tx) => tx.create('/tx', Buffer.from('1'))
                                                      .check('/tx')
                                                      .setData('/tx', Buffer.from('2'))
                                                      .create('/tx/a')
                                                      .remove('/tx/a'));
    assert.equal(error, null);
    assert.equal(results.length, 5);
    assert.equal((await c.read('getData', '/tx'))[0].toString(), '2');
    const [refused] = await c.commit((tx) => tx.create('/tx/b').remove('/tx/none').create('/tx/c'));
    assert.ok(code('NO_NODE')(refused), `${refused}`);
    assert.equal((await c.read('exists', '/tx/b'))[0], null);
    await c.close();
  },

  async acl_and_auth() {
    const c = await new Client().connect();
    const stranger = await new Client().connect();
    c.zk.addAuthInfo('digest', Buffer.from('ann:secret'));
    await c.create('/acl', Buffer.from('x'), ACL.CREATOR_ALL_ACL);
    await assert.rejects(stranger.read('getData', '/acl'), code('NO_AUTH'));
    stranger.zk.addAuthInfo('digest', Buffer.from('ann:secret'));
    assert.equal((await stranger.read('getData', '/acl'))[0].toString(), 'x');
    const stat = await c.setACL('/acl', [new ACL(Permission.READ, new Id('ip', '127.0.0.1'))], 0);
    assert.equal(stat.aversion, 1);
    const acl = await c.getACL('/acl');
    assert.equal(acl[0].id.scheme, 'ip');
    await assert.rejects(c.setData('/acl', Buffer.alloc(0), -1), code('NO_AUTH'));
    await c.close();
    await stranger.close();
  },

  async pipelining() {
    const c = await new Client().connect();
    await c.create('/pipe');
    const order = [];
    const all = [];
    for (let i = 0; i < 200; i += 1) {
      all.push(c.create(`/pipe/n${i}`, Buffer.from(`${i}`)).then(() => order.push(i)));
      all.push(c.read('getData', `/pipe/n${i}`).then(([data]) => order.push(Number(data))));
    }
    await soon('replies', Promise.all(all));
    assert.deepEqual(order, Array.from({ length: 400 }, (_, i) => Math.floor(i / 2)));
    await c.close();
  },

  async reconnect_keeps_session_and_watches() {
    const relay = await new Relay().start();
    const c = await new Client(relay.address).connect();
    const other = await new Client().connect();
    const id = c.zk.getSessionId().toString('hex');
    await c.create('/again');
    await c.create('/again/e', CreateMode.EPHEMERAL);
    await c.read('getData', '/again', true);
    await c.read('exists', '/again/new', true);
    const lost = c.state('disconnected');
    relay.set(true);
    await lost;
    await other.setData('/again', Buffer.from('meanwhile'));
    await other.create('/again/new');
    const back = c.state('connected');
    relay.set(false);
    await back;
    assert.equal(c.zk.getSessionId().toString('hex'), id);
    await c.expect('NODE_DATA_CHANGED /again', 'NODE_CREATED /again/new');
    assert.notEqual((await other.read('exists', '/again/e'))[0], null);
    await c.close();
    await other.close();
  },

  async session_expires() {
    const relay = await new Relay().start();
    const c = await new Client(relay.address, SHORT_SESSION_MS).connect();
    const other = await new Client().connect();
    await c.create('/expires', CreateMode.EPHEMERAL);
    await other.read('exists', '/expires', true);
    const expired = c.state('expired');
    relay.set(true);
    await other.expect('NODE_DELETED /expires');
    relay.set(false);
    await expired;
    await other.close();
  },
};

async function watches(c, other) {
  await c.create('/watch');
  await c.read('exists', '/watch/a', true);
  await c.read('getChildren', '/watch', true);
  await other.create('/watch/a');
  await c.expect('NODE_CREATED /watch/a', 'NODE_CHILDREN_CHANGED /watch');
  await c.read('getData', '/watch/a', true);
  await other.setData('/watch/a', Buffer.from('1'));
  await c.expect('NODE_DATA_CHANGED /watch/a');
  await c.read('getData', '/watch/a', true);
  await other.remove('/watch/a');
  await c.expect('NODE_DELETED /watch/a');
  assert.deepEqual(c.events, []);
}

async function main() {
  let failed = 0;
  for (const [name, body] of Object.entries(checks)) {
    const start = Date.now();
    try {
      await body();
      console.log(`ok ${name} ${Date.now() - start} ms`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name} ${String(error.message).split('\n').join(' ')}`);
      console.log(error.stack);
    }
  }
  process.exit(failed === 0 ? 0 : 1);
}

main();

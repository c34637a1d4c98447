// What of Courier's SDK 3.4.0 matters here, down to its habits: `signIn` signs out first, all parts
// share one options object, the socket forgets its listeners when it has closed, and reconnects on
// its own after 30 seconds, five times. real-sdk.test.js checks that the real one has the same habits.

/** Courier's servers: messages, and which tokens they take. */
export class Backend {
  messages = [];
  refused = new Set();
  calls = [];
  sockets = [];
  down = false;
  /** How long a closing handshake takes. */
  closing = 50;
  /** How long a live message takes. */
  lag = 0;
  /** What answers wait for. */
  answers = undefined;

  call(name, token) {
    this.calls.push({ name, token });
    if (this.down) throw new TypeError("fetch failed");
    if (this.refused.has(token)) throw Object.assign(new Error("Unauthorized"), { code: 401 });
  }

  named(name) {
    return this.calls.filter((call) => call.name === name);
  }

  send(messageId) {
    const message = { messageId };
    this.messages.unshift(message);
    const envelope = { event: "message", data: message };
    for (const socket of this.open) {
      if (this.lag) setTimeout(() => socket.deliver(envelope), this.lag);
      else socket.deliver(envelope);
    }
  }

  get open() {
    return this.sockets.filter((socket) => socket.readyState === OPEN);
  }
}

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3];

class FakeWebSocket {
  readyState = CONNECTING;

  constructor(backend, owner, token) {
    Object.assign(this, { backend, owner, token });
    backend.sockets.push(this);
    setTimeout(() => {
      if (this.readyState !== CONNECTING) return;
      if (backend.down || backend.refused.has(token)) return this.lose(1006, true);
      this.readyState = OPEN;
      owner.opened();
      this.pong();
    }, 20);
  }

  /** Courier's answer to the SDK's pings, which are one a minute. */
  pong() {
    setTimeout(() => {
      if (this.readyState !== OPEN) return;
      this.deliver({ response: "pong" });
      this.pong();
    }, 60_000);
  }

  close() {
    if (this.readyState >= CLOSING) return;
    this.readyState = CLOSING;
    setTimeout(() => this.lose(1000), this.backend.closing);
  }

  lose(code, error = false) {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    if (error) this.owner.errored();
    this.owner.lost(code);
  }

  deliver(envelope) {
    this.owner.onMessageReceived(envelope);
  }
}

class Socket {
  webSocket = null;
  closeRequested = false;
  retryTimeoutId = null;
  retryAttempt = 0;
  messageEventListeners = [];

  constructor(backend, options) {
    this.backend = backend;
    this.options = options;
  }

  get isOpen() {
    return this.webSocket?.readyState === OPEN;
  }

  get isConnecting() {
    return this.webSocket?.readyState === CONNECTING;
  }

  connect() {
    if (this.isOpen || this.isConnecting) return Promise.resolve();
    this.clearRetryTimeout();
    this.closeRequested = false;
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      this.webSocket = new FakeWebSocket(this.backend, this, this.options.accessToken);
    });
  }

  close() {
    if (!this.webSocket) return;
    this.closeRequested = true;
    this.clearRetryTimeout();
    this.retryAttempt = 0;
    this.webSocket.close();
  }

  opened() {
    this.retryAttempt = 0;
    this.onOpen({ type: "open" });
    this.settle.resolve();
  }

  lost(code) {
    if (code !== 1000 && !this.closeRequested) this.retryConnection();
    this.onClose({ type: "close", code });
  }

  errored() {
    if (!this.closeRequested) this.retryConnection();
    this.settle.reject(new Error("refused"));
  }

  retryConnection() {
    if (this.retryTimeoutId !== null || this.retryAttempt >= 5) return;
    this.retryAttempt += 1;
    this.retryTimeoutId = setTimeout(() => this.connect().catch(() => {}), 30_000);
  }

  clearRetryTimeout() {
    clearTimeout(this.retryTimeoutId);
    this.retryTimeoutId = null;
  }

  onOpen() {
    return Promise.resolve();
  }

  onClose() {
    this.messageEventListeners.length = 0;
    return Promise.resolve();
  }

  onMessageReceived(envelope) {
    if (!envelope.event) return;
    for (const listener of this.messageEventListeners) listener(envelope);
  }

  addMessageEventListener(listener) {
    this.messageEventListeners.push(listener);
    return () => {
      const index = this.messageEventListeners.indexOf(listener);
      if (index >= 0) this.messageEventListeners.splice(index, 1);
    };
  }
}

class Inbox {
  constructor(backend, options) {
    this.options = options;
    this.backend = backend;
    this.socket = new Socket(backend, options);
  }

  async getMessages({ paginationLimit = 24 } = {}) {
    this.backend.call("getMessages", this.options.accessToken);
    const there = this.backend.messages.filter(({ archived }) => !archived);
    const nodes = there.slice(0, paginationLimit).map((message) => ({ ...message }));
    await this.backend.answers;
    return { data: { messages: { nodes } } };
  }

  async read() {
    await this.backend.answers;
    this.backend.call("read", this.options.accessToken);
  }
}

class Preferences {
  constructor(backend, options) {
    this.options = options;
    this.backend = backend;
  }

  async getUserPreferences() {
    this.backend.call("getUserPreferences", this.options.accessToken);
    await this.backend.answers;
  }
}

export class Courier {
  paginationLimit = 24;
  client = undefined;
  authenticationListeners = [];
  signIns = [];
  signOuts = 0;

  constructor(backend) {
    this.backend = backend;
  }

  signIn(props) {
    if (this.client) this.signOut();
    this.signIns.push(props);
    const options = { ...props, accessToken: props.jwt, apiUrls: props.apiUrls ?? US };
    this.client = { options, inbox: new Inbox(this.backend, options), preferences: new Preferences(this.backend, options) };
    this.mend?.(this.client);
    this.notify({ userId: props.userId });
  }

  signOut() {
    this.signOuts += 1;
    this.client?.inbox?.socket?.close();
    this.client = undefined;
    this.notify({ userId: undefined });
  }

  notify(props) {
    this.authenticationListeners.forEach((listener) => listener.callback(props));
  }

  addAuthenticationListener(callback) {
    const listener = { callback };
    this.authenticationListeners.push(listener);
    return listener;
  }

  removeAuthenticationListener(listener) {
    this.authenticationListeners = this.authenticationListeners.filter((known) => known !== listener);
  }
}

const US = { inbox: { graphql: "https://inbox.courier.com/q" } };

class Store {
  constructor(courier) {
    this.courier = courier;
  }

  /** As both stores do it. */
  async listen(receive) {
    const socket = this.courier.client?.inbox.socket;
    if (!socket) return;
    this.remove?.();
    this.remove = socket.addMessageEventListener(receive);
    if (!socket.isConnecting && !socket.isOpen) await socket.connect().catch(() => {});
  }
}

/** The inbox's store, with one dataset. */
export class InboxStore extends Store {
  listened = 0;
  loads = 0;
  _globalMessages = new Map();
  _datasets = new Map([
    ["all", {
      messages: [],
      restoreFromSnapshot(snapshot) {
        this.messages = snapshot.messages;
      },
    }],
  ]);

  listenForUpdates() {
    this.listened += 1;
    return this.listen(({ data }) => {
      this._globalMessages.set(data.messageId, data);
      this.addMessage(data);
    });
  }

  addMessage(message) {
    this._datasets.get("all").messages.unshift(message);
  }

  getDatasets() {
    return { all: { messages: [...this._datasets.get("all").messages] } };
  }

  /** Undone if it fails. */
  async read() {
    const before = this._datasets.get("all").messages;
    try {
      await this.courier.client.inbox.read();
    } catch {
      this._datasets.get("all").messages = before;
    }
  }

  async load() {
    this.loads += 1;
    const { data } = await this.courier.client.inbox.getMessages();
    this._datasets.get("all").messages = data.messages.nodes;
  }

  get shown() {
    return this._datasets.get("all").messages.map((message) => message.messageId);
  }
}

export class ToastStore extends Store {
  shown = [];

  listenForMessages() {
    return this.listen(({ data }) => this.addMessage(data));
  }

  addMessage(message) {
    this.shown.push(message.messageId);
  }
}

/** What `<courier-inbox>` does on a page. */
export function mountInbox(courier, inbox) {
  const refresh = async () => {
    await inbox.load();
    await inbox.listenForUpdates();
  };
  courier.addAuthenticationListener(({ userId }) => {
    if (userId) refresh().catch(() => {});
  });
}

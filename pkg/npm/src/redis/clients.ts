/** The clients that programs bring, `ioredis` and `redis`, and connections with their options. Neither package is imported. */

import { Buffer } from 'node:buffer';

import { native } from '#native';
import { misuse, named } from '../errors.js';
import type { NativeRedis } from '../native.js';
import type { RedisClientLike } from './options.js';

/** One connection. It is never made again by the client library, so nothing is sent twice. */
export interface Line {
  readonly isOpen: boolean;
  /** Sends all in one pipeline, and gives one reply for each, as a byte string that the core reads. Throws if the connection broke. */
  send(commands: readonly (readonly string[])[]): Promise<string[]>;
  close(): void;
}

/** Where connections come from. */
export interface Source {
  readonly isCluster: boolean;
  /** Begins a connection to a node of a cluster that the client knows, by `host:port`; to any of its primaries by default. */
  begin(address?: string): Promise<Begun>;
}

/** A connection, and when it can be used. */
interface Begun {
  readonly line: Line;
  readonly ready: Promise<unknown>;
}

interface Settings {
  readonly dangerPlaintext: boolean;
  readonly connectWithin: number;
}

interface Ioredis extends RedisClientLike {
  readonly status: string;
  readonly options: {
    readonly host?: string; readonly port?: number; readonly path?: string | null; readonly tls?: unknown;
    readonly sentinels?: readonly { readonly host?: string }[] | null;
  };
  connect(): Promise<void>;
  disconnect(): void;
  pipeline(): { callBuffer(name: string, ...given: Buffer[]): unknown; exec(): Promise<[Error | null, unknown][]> };
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

interface IoredisCluster extends RedisClientLike {
  readonly status: string;
  readonly options: { readonly natMap?: Translation | null };
  connect(): Promise<void>;
  nodes(role: 'master'): Ioredis[];
  once(event: 'ready', listener: () => void): unknown;
}

interface NodeRedis extends RedisClientLike {
  readonly isReady: boolean;
  readonly options: { readonly socket?: { readonly host?: string; readonly path?: string; readonly tls?: boolean } };
  connect(): Promise<unknown>;
  destroy(): void;
  sendCommand(command: (string | Buffer)[], options: object): Promise<unknown>;
  on(event: 'error', listener: (error: unknown) => void): unknown;
}

interface NodeRedisCluster extends RedisClientLike {
  readonly masters: readonly { readonly host: string; readonly port: number }[];
  readonly _options?: { readonly nodeAddressMap?: Translation };
  nodeClient(node: unknown): NodeRedis | Promise<NodeRedis>;
}

/** What a node is called from outside its network. */
type Translation = Readonly<Record<string, { host: string; port: number }>> | ((address: string) => { host: string; port: number } | undefined | null);

/** Nothing is retried, queued or sent again, and replies come as the server sends them. */
const IOREDIS = {
  lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: null, autoResendUnfulfilledCommands: false, enableOfflineQueue: false,
  enableAutoPipelining: false, reconnectOnError: null, commandTimeout: undefined, socketTimeout: undefined, disconnectTimeout: 0,
  keyPrefix: '', readOnly: false, monitor: false, stringNumbers: false, autoResubscribe: false, disableClientInfo: true, scripts: undefined,
  protocol: 2, replyMapping: 'legacy',
};

const NODE_REDIS = {
  disableOfflineQueue: true, commandsQueueMaxLength: undefined, pingInterval: undefined, keyPrefix: undefined, readonly: false,
  disableClientInfo: true, clientSideCache: undefined, emitInvalidate: false, maintNotifications: 'disabled', RESP: 2,
};

/** No time-out of the library's beside the store's, and replies as texts. */
const PLAIN = { timeout: undefined, typeMapping: {}, asap: false };

const HOW = 'client: new Redis(url) of ioredis, or client: createClient({ url }) of redis';

/** What the core has for stores in Redis. */
export function redis(): NativeRedis {
  return native() as unknown as NativeRedis;
}

/** What a program gave as its client. @throws Misuse */
export function sourceOf(client: unknown, options: Settings): Source {
  if (typeof client === 'string' || client instanceof URL) {
    throw misuse('no_client', `client has to be a client of Redis, and this was a URL; write ${HOW}`);
  }
  const has = (name: string): boolean => typeof (client as Record<string, unknown> | undefined | null)?.[name] === 'function';
  if (has('duplicate')) {
    if (has('pipeline') && has('nodes')) return ioredisCluster(client as IoredisCluster, options);
    if (has('pipeline')) return one(() => ioredis(client as Ioredis, options));
    if (has('nodeClient') && 'masters' in (client as object)) return nodeRedisCluster(client as NodeRedisCluster, options);
    if (has('sendCommand') && has('destroy') && 'isReady' in (client as object)) return one(() => nodeRedis(client as NodeRedis, options));
  }
  const missing = client === undefined || client === null;
  const old = has('duplicate') && has('sendCommand') ? 'one of redis before version 5' : named(client);
  const found = missing ? 'there was none' : `this was ${old}`;
  throw misuse('no_client', `client has to be a client of Redis, and ${found}; write ${HOW}`);
}

/** One server. A mistake in its address is thrown now. */
function one(prepare: () => () => Begun): Source {
  const begin = prepare();
  return { isCluster: false, begin: async () => begin() };
}

function ioredis(client: Ioredis, { dangerPlaintext, connectWithin }: Settings): () => Begun {
  const { host = 'localhost', path, tls, sentinels } = client.options;
  const hosts = sentinels ? sentinels.map((sentinel) => sentinel.host ?? 'localhost') : [host];
  checkPlaintext(hosts, Boolean(path) || Boolean(tls) || dangerPlaintext, 'the option tls of ioredis, or a URL that begins with rediss:');
  return () => {
    // Sentinels are asked for the primary, which the client looks at by itself; the core looks at any other server.
    const own = client.duplicate({ ...IOREDIS, connectTimeout: connectWithin, enableReadyCheck: Boolean(sentinels) }) as Ioredis;
    let fault: unknown;
    own.on('error', (error) => (fault = error));
    // Ready and refused at once: where the server refuses the password or the database, which ioredis hears later.
    const isOpen = (): boolean => own.status === 'ready' && fault === undefined;
    const line: Line = {
      get isOpen() {
        return isOpen();
      },
      async send(commands) {
        const pipeline = own.pipeline();
        for (const [name = '', ...given] of commands) pipeline.callBuffer(name, ...given.map(bytesOf));
        const replies = await pipeline.exec();
        // With the connection up, an error is the server's reply.
        if (!isOpen()) throw fault ?? new Error('the connection is closed');
        return replies.map(([error, reply]) => replied(error ?? reply));
      },
      close: () => own.disconnect(),
    };
    const ready = own.connect().catch((error: unknown) => {
      throw fault ?? error;
    });
    return { line, ready };
  };
}

function nodeRedis(client: NodeRedis, { dangerPlaintext, connectWithin }: Settings): () => Begun {
  const { socket = {} } = client.options ?? {};
  const encrypted = socket.path !== undefined || socket.tls === true || dangerPlaintext;
  checkPlaintext([socket.host ?? 'localhost'], encrypted, 'the option socket: { tls: true } of redis, or a URL that begins with rediss:');
  return () => {
    const own = client.duplicate({
      ...NODE_REDIS, commandOptions: PLAIN, socket: { ...socket, reconnectStrategy: false, connectTimeout: connectWithin, socketTimeout: undefined },
    }) as NodeRedis;
    // Without a listener, an error would end the process. The calls that wait get it.
    own.on('error', () => undefined);
    const line: Line = {
      get isOpen() {
        return own.isReady;
      },
      async send(commands) {
        const sent = commands.map(([name = '', ...given]) => own.sendCommand([name, ...given.map(bytesOf)], PLAIN));
        const replies = await Promise.allSettled(sent);
        if (!own.isReady) throw new Error('the connection is closed');
        return replies.map((reply) => replied(reply.status === 'fulfilled' ? reply.value : reply.reason));
      },
      close() {
        // It throws where it is closed already.
        try {
          own.destroy();
        } catch {
          // Then there is nothing to do.
        }
      },
    };
    return { line, ready: own.connect() };
  };
}

function ioredisCluster(cluster: IoredisCluster, options: Settings): Source {
  let waiting: Promise<void> | undefined;
  // One listener, however often it is asked for.
  const ready = (): Promise<void> =>
    (waiting ??= new Promise<void>((resolve) => {
      cluster.once('ready', () => {
        waiting = undefined;
        resolve();
      });
      if (cluster.status === 'wait') void cluster.connect().catch(() => undefined);
    }));
  return {
    isCluster: true,
    async begin(address) {
      // Until then it knows the nodes alone that the program named, or none.
      if (cluster.status !== 'ready') await ready();
      const nodes = cluster.nodes('master');
      const at = translated(address, cluster.options.natMap);
      const node = at === undefined ? nodes[0] : nodes.find(({ options: { host, port } }) => `${host}:${port}` === at);
      return ioredis(known(node, address), options)();
    },
  };
}

function nodeRedisCluster(cluster: NodeRedisCluster, options: Settings): Source {
  return {
    isCluster: true,
    async begin(address) {
      const at = translated(address, cluster._options?.nodeAddressMap);
      const node = at === undefined ? cluster.masters[0] : cluster.masters.find(({ host, port }) => `${host}:${port}` === at);
      return nodeRedis(await cluster.nodeClient(known(node, address)), options)();
    },
  };
}

/** Credentials go to nodes alone that the program's client knows. */
function known<T>(node: T | undefined, address: string | undefined): T {
  if (node === undefined) throw new Error(address === undefined ? 'the cluster client is not connected' : `the cluster client knows no primary at ${address}`);
  return node;
}

function translated(address: string | undefined, table: Translation | undefined | null): string | undefined {
  if (address === undefined) return undefined;
  const found = typeof table === 'function' ? table(address) : table?.[address];
  return found ? `${found.host}:${found.port}` : address;
}

function checkPlaintext(hosts: readonly string[], isSafe: boolean, how: string): void {
  if (isSafe) return;
  const host = hosts.find((name) => redis().redisNeedsTls(name));
  if (host === undefined) return;
  throw misuse('insecure_url', `Redis is at ${host}, and commands would reach it in the clear; use TLS (${how}), or say dangerPlaintext: true`);
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A reply as the core reads it. */
function replied(reply: unknown): string {
  if (typeof reply === 'string') return `+${reply}`;
  if (reply instanceof Uint8Array) return `+${Buffer.from(reply).toString('latin1')}`;
  if (typeof reply === 'number' || typeof reply === 'bigint') return `:${reply}`;
  if (reply === null) return '_';
  return reply instanceof Error ? `-${reply.message}` : '';
}

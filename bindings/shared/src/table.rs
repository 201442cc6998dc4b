//! What languages with classes of their own reach, written once: each row is a class, a method or a function of the facade.
//!
//! A binding has one macro, `table!`, that makes of a row what its language wants: an attribute, its own types of arguments, its
//! errors. It gives the macro to those of the tables here that it wants. Rows are made of few kinds of values, which each binding defines
//! by these names: `Text`, `Texts`, `Bytes`, `Number` (whole, and `i64` here), `Presented` and `Incoming` (of requests), with `Option`
//! of them written `OptionalText` and so on for arguments; and `Verified` and `Refusal` (a refusal) for results. In a row,
//! `CRYPTO` is the provider of the binding, `SPELLING` its language's spelling of options, and `ffi` this crate. A name in JavaScript stands where it is another one.
//!
//! ```
//! use keybound_ffi as ffi;
//!
//! // The names of all classes, by a macro that looks at nothing else.
//! macro_rules! table {
//!     ($(#[$doc:meta])* class $class:ident $($rest:tt)*) => { NAMES.with(|names| names.borrow_mut().push(stringify!($class))); };
//!     ($($other:tt)*) => {};
//! }
//! thread_local!(static NAMES: std::cell::RefCell<Vec<&'static str>> = const { std::cell::RefCell::new(Vec::new()) });
//! ffi::proofs!(table);
//! assert!(NAMES.with(|names| names.borrow().contains(&"Verifier")));
//! ```

/// What clients and verifiers need.
#[macro_export]
macro_rules! thumbprints {
    ($table:ident) => {
        $table! { fn thumbprint(jwk: Text) -> [Text] { ffi::thumbprint(&jwk, &CRYPTO) } }
    };
}

/// Keys, proofs and their verification.
#[macro_export]
macro_rules! proofs {
    ($table:ident) => {
        $table! { fn reasons() -> [Text] { Ok(ffi::reasons(SPELLING)) } }
        $table! {
            fn proof(method: Text, url: Text, access_token: OptionalText, nonce: OptionalText, key: &Key, now: Number) -> [Text] {
                let (access_token, nonce) = (access_token.as_deref(), nonce.as_deref());
                ffi::proof(&ffi::ProofRequest { method: &method, url: &url, access_token, nonce }, key, &CRYPTO, now)
            }
        }
        $table! {
            fn prepare(
                method: Text, url: Text, access_token: OptionalText, nonce: OptionalText, public_jwk: Text, algorithm: Text, now: Number
            ) -> [Unsigned] {
                let (access_token, nonce) = (access_token.as_deref(), nonce.as_deref());
                let request = ffi::ProofRequest { method: &method, url: &url, access_token, nonce };
                ffi::prepare(&request, &public_jwk, &algorithm, &CRYPTO, now)
            }
        }
        $table! {
            /// A key in this process.
            class Key[ffi::Key] as key {
                static generate(algorithm: Text) -> [Key] { ffi::Key::generate(&algorithm, &CRYPTO) }
                static from_jwk = "fromJwk"(jwk: Text, algorithm: OptionalText) -> [Key] {
                    ffi::Key::from_jwk(&jwk, algorithm.as_deref(), &CRYPTO)
                }
                fn algorithm() -> [Text] { Ok(key.algorithm().to_owned()) }
                fn public_jwk = "publicJwk"() -> [Text] { Ok(key.public_jwk()) }
                fn thumbprint() -> [Text] { Ok(key.thumbprint()) }
                fn sign(message: Bytes) -> [Bytes] { key.sign(&message) }
                fn danger_private_jwk = "dangerPrivateJwk"() -> [Text] { key.danger_private_jwk() }
            }
        }
        $table! {
            /// A proof without its signature.
            class Unsigned[ffi::Unsigned] as unsigned {
                fn message() -> [Bytes] { Ok(unsigned.message().to_vec()) }
                fn digest() -> [Option<Bytes>] { Ok(unsigned.digest().map(<[u8]>::to_vec)) }
                fn attach(signature: Bytes, encoding: Text) -> [Text] { unsigned.attach(&signature, &encoding) }
            }
        }
        $table! {
            /// The nonces that servers gave.
            class NonceCache[ffi::NonceCache] as nonces {
                new() { Ok(ffi::NonceCache::new()) }
                fn observe(origin: Text, role: Text, thumbprint: Text, values: Texts) -> [()] {
                    let values = ffi::byte_strings(&values)?;
                    nonces.observe(&origin, &role, &thumbprint, &values.iter().map(Vec::as_slice).collect::<Vec<_>>())
                }
                fn get(origin: Text, role: Text, thumbprint: Text) -> [Option<Text>] { nonces.get(&origin, &role, &thumbprint) }
            }
        }
        $table! {
            /// A proof as a replay store sees it.
            class Entry[ffi::Entry] as entry {
                static parse(text: Text) -> [Entry] { ffi::Entry::parse(&text) }
                fn to_json = "toJson"() -> [Text] { Ok(entry.to_json()) }
                fn lifetime(now: Number) -> [Number] { Ok(entry.lifetime(now)) }
            }
        }
        $table! {
            /// The replay store of one process.
            class MemoryStore[std::sync::Arc<ffi::MemoryStore>] as store {
                new(capacity: Number, options: Text, now: Number) {
                    ffi::MemoryStore::new(ffi::number::count(capacity)?, &options, &CRYPTO, now).map(std::sync::Arc::new)
                }
                fn check_policy = "checkPolicy"(options: Text) -> [()] { store.check_policy(&options, &CRYPTO) }
                fn insert(entry: &Entry, now: Number) -> [Text] { Ok(store.insert(entry, now).to_owned()) }
                fn epoch() -> [Text] { Ok(store.epoch()) }
                fn held() -> [Number] { Ok(store.held()) }
                fn was_forked = "wasForked"() -> [bool] { Ok(store.was_forked()) }
            }
        }
        $table! {
            /// A proof that passed every check but replay. `settle` takes the epoch that the store answered in, that of the request by default.
            class Pending[ffi::Pending] as pending {
                fn entry() -> [Entry] { Ok(pending.entry().clone()) }
                fn settle(insertion: Text, epoch: OptionalText, now: Number) -> [Verified] {
                    pending.settle(&insertion, epoch.as_deref(), now)
                }
                fn danger_skip_replay_check = "dangerSkipReplayCheck"() -> [Verified] { pending.danger_skip_replay_check() }
            }
        }
        $table! {
            /// Verifies proofs.
            class Verifier[ffi::Verifier] as verifier {
                new(options: Text) { ffi::Verifier::new(&options, &CRYPTO) }
                fn check(presented: Presented, now: Number) -> [Pending] {
                    presented.show(|presented| verifier.check(presented, now))
                }
                fn verify(presented: Presented, now: Number, store: &MemoryStore) -> [Verified] {
                    presented.show(|presented| verifier.verify(presented, store, now))
                }
                fn explain(presented: Presented, now: Number) -> [Text] {
                    presented.show(|presented| verifier.explain(presented, now, SPELLING))
                }
                fn explain_with_store = "explainWithStore"(presented: Presented, now: Number, store: &MemoryStore) -> [Text] {
                    presented.show(|presented| verifier.explain_with_store(presented, store, now, SPELLING))
                }
                fn refuse(presented: Presented, now: Number, reason: Text) -> [Refusal] {
                    presented.show(|presented| verifier.refuse(&reason, presented, now))
                }
                fn fresh_nonce = "freshNonce"(role: Text, epoch: OptionalText, now: Number) -> [Option<Text>] {
                    verifier.fresh_nonce(&role, epoch.as_deref(), now)
                }
                fn algorithms() -> [Texts] { Ok(verifier.algorithms().into_iter().map(str::to_owned).collect::<Vec<_>>()) }
            }
        }
    };
}

/// Keys that a client's store makes in this process.
#[macro_export]
macro_rules! stored_keys {
    ($table:ident) => {
        $table! {
            extend Key as key {
                static generate_for = "generateFor"(algorithms: Texts, protections: Texts) -> [Key] {
                    ffi::Key::generate_for(&algorithms, &protections, &CRYPTO)
                }
            }
        }
    };
}

/// Keys in files of other programs. Builds for pages go without: PKCS#8 has a tenth of what they may weigh, and keys of pages are JWKs.
#[macro_export]
macro_rules! key_files {
    ($table:ident) => {
        $table! {
            extend Key as key {
                static from_pem = "fromPem"(pem: Text, algorithm: OptionalText) -> [Key] {
                    ffi::Key::from_pem(&pem, algorithm.as_deref(), &CRYPTO)
                }
                static from_der = "fromDer"(der: Bytes, algorithm: OptionalText) -> [Key] {
                    ffi::Key::from_der(&der, algorithm.as_deref(), &CRYPTO)
                }
                fn danger_private_pem = "dangerPrivatePem"() -> [Text] { key.danger_private_pem() }
            }
        }
    };
}

/// Flows, of clients and of servers: what they want, and what they are given.
#[macro_export]
macro_rules! flows {
    ($table:ident) => {
        $table! {
            /// A flow in progress, of a client or a server. `task` gives the work of a `share` step, to the first who waits for it; `entry` is that of an
            /// `insert` step; `abandon` gives the flow up at once.
            class Flow[ffi::Flow] as flow {
                fn step() -> [Text] { flow.step(SPELLING) }
                fn resume(reply: Text, now: Number) -> [Text] { flow.resume(ffi::Reply::from_json(&reply)?, now, SPELLING) }
                fn task(now: Number) -> [Option<Flow>] { flow.task(now) }
                fn abandon() -> [()] { flow.abandon(); Ok(()) }
            }
        }
    };
}

/// A client, its sessions, and what a store of its deletes by itself.
#[macro_export]
macro_rules! client {
    ($table:ident) => {
        $table! {
            /// An OAuth client.
            class Client[ffi::Client] as client {
                new(options: Text) { ffi::Client::new(&options, &CRYPTO) }
                fn begin(operation: Text, handles: &Handles, now: Number) -> [Flow] {
                    client.begin(&operation, handles.now(), now)
                }
            }
        }
        $table! {
            /// What an operation refers to besides its arguments.
            class Handles[ffi::SharedHandles] as handles {
                new() { Ok(ffi::SharedHandles::default()) }
                fn discovered(value: &Discovered) -> [()] {
                    handles.set(|handles| handles.discovered = Some(value.clone()));
                    Ok(())
                }
                fn session(value: &Session) -> [()] {
                    handles.set(|handles| handles.session = Some(value.clone()));
                    Ok(())
                }
            }
        }
        $table! {
            /// What was discovered.
            class Discovered[ffi::Discovered] as discovered {}
        }
        $table! {
            /// A session. Its `info` shows no token.
            class Session[ffi::Session] as session {
                fn info() -> [Text] { Ok(ffi::session_info(session)) }
                fn danger_access_token = "dangerAccessToken"() -> [Option<Text>] {
                    Ok(session.danger_access_token().map(|token| token.expose().to_owned()))
                }
                fn member(name: Text) -> [Option<Text>] { Ok(ffi::session_member(session, &name)) }
            }
        }
        $table! {
            extend Flow as flow {
                fn discovered() -> [Option<Discovered>] { Ok(flow.handle().and_then(ffi::Handle::discovered)) }
                fn session() -> [Option<Session>] { Ok(flow.handle().and_then(ffi::Handle::session)) }
            }
        }
        $table! {
            /// What a store deletes by itself: `finish` gives `slots` (`slot`, `version`) and `keys`.
            class Sweep[ffi::Sweep] as sweep {
                new(now: Number) { Ok(ffi::Sweep::new(&CRYPTO, now)) }
                fn stored(slot: Text, version: Number, value: OptionalText, stored_at: OptionalNumber) -> [()] {
                    sweep.stored(&slot, ffi::number::not_negative(version), value.as_deref(), stored_at)
                }
                fn key(thumbprint: Text, created_at: Number) -> [()] { sweep.key(&thumbprint, created_at) }
                fn finish() -> [Text] { sweep.finish() }
            }
        }
    };
}

/// Grants without a browser, and stores in folders, for command lines and servers.
#[macro_export]
macro_rules! grants {
    ($table:ident) => {
        $table! {
            /// A login on another device.
            class Device[std::sync::Arc<ffi::Device>] as device {}
        }
        $table! {
            extend Handles as handles {
                fn device(value: &Device) -> [()] {
                    handles.set(|handles| handles.device = Some(std::sync::Arc::clone(value)));
                    Ok(())
                }
            }
        }
        $table! { extend Flow as flow { fn device() -> [Option<Device>] { Ok(flow.handle().and_then(ffi::Handle::device)) } } }
        $table! {
            fn is_sweep_due = "isSweepDue"(last: Number, now: Number) -> [bool] { Ok(ffi::is_sweep_due(Some(last), now)) }
        }
        $table! { fn file_rules = "fileRules"() -> [Text] { Ok(ffi::file_rules()) } }
        $table! { fn file_place = "filePlace"(slot: Text) -> [Text] { Ok(ffi::file_place(&slot, &CRYPTO)) } }
        $table! {
            fn lock_pause = "lockPause"(attempts: Number) -> [Number] {
                Ok(ffi::lock_pause(ffi::number::count(attempts)?))
            }
        }
    };
}

/// What stores in folders need that read and write files themselves: on Node without the addon, Bun and Deno.
#[macro_export]
macro_rules! folders {
    ($table:ident) => {
        $table! { fn file_name = "fileName"(text: Text) -> [Text] { Ok(ffi::file_name(&text, &CRYPTO)) } }
        $table! {
            fn text_of_file_name = "textOfFileName"(name: Text) -> [Option<Text>] { Ok(ffi::text_of_file_name(&name, &CRYPTO)) }
        }
        $table! {
            fn file_content = "fileContent"(version: Number, value: Text) -> [Text] {
                ffi::file_content(ffi::number::not_negative(version), &value)
            }
        }
        $table! { fn file_version = "fileVersion"(content: Text) -> [Option<Number>] { Ok(ffi::file_version(&content)) } }
        $table! { fn is_file_spoiled = "isFileSpoiled"(content: Text) -> [bool] { Ok(ffi::is_file_spoiled(&content)) } }
        $table! {
            /// What a store in a folder deletes by itself.
            class FolderSweep[ffi::FolderSweep] as sweep {
                new(now: Number) { Ok(ffi::FolderSweep::new(&CRYPTO, now)) }
                fn found(folder: Text, file: Text, modified: Number) -> [Text] { sweep.found(&folder, &file, modified).map(str::to_owned) }
                fn content(folder: Text, file: Text, content: OptionalText, modified: Number) -> [()] {
                    sweep.content(&folder, &file, content.as_deref(), modified)
                }
                fn finish() -> [Text] { sweep.finish() }
            }
        }
    };
}

/// The replay store in Redis.
#[macro_export]
macro_rules! redis {
    ($table:ident) => {
        $table! { fn redis_limits = "redisLimits"() -> [Text] { Ok(ffi::redis_limits()) } }
        $table! { fn redis_needs_tls = "redisNeedsTls"(host: Text) -> [bool] { Ok(ffi::redis_needs_tls(&host)) } }
        $table! {
            /// Proofs to be inserted together.
            class Entries[ffi::Entries] as entries {
                new() { Ok(ffi::Entries::new()) }
                fn add(entry: &Entry) -> [()] {
                    entries.add(entry);
                    Ok(())
                }
            }
        }
        $table! {
            /// The replay store of one namespace of a Redis server: it says what to send, and what the replies mean.
            class RedisReplay[ffi::RedisReplay] as redis {
                new(namespace: Text, options: Text) { ffi::RedisReplay::new(&namespace, &options, &CRYPTO) }
                fn open(now: Number) -> [RedisTurn] { Ok(redis.open(now)) }
                fn batch(entries: &Entries, now: Number) -> [RedisTurn] { Ok(redis.batch(entries, now)) }
                fn check_policy = "checkPolicy"(options: Text) -> [()] { redis.check_policy(&options, &CRYPTO) }
                fn serves(entry: &Entry) -> [bool] { Ok(redis.serves(entry)) }
                fn prefix() -> [Text] { Ok(redis.prefix()) }
                fn epoch() -> [Text] { Ok(redis.epoch()) }
                fn check_is_due = "checkIsDue"(now: Number) -> [bool] { Ok(redis.check_is_due(now)) }
                fn status() -> [Text] { Ok(redis.status(SPELLING)) }
            }
        }
        $table! {
            /// Commands to send to Redis, or what all came to. Replies are byte strings: `+` and a text, `:` and an integer, `-` and an error,
            /// `_` for null.
            class RedisTurn[ffi::RedisTurn] as turn {
                fn commands() -> [Option<Text>] { Ok(turn.commands()) }
                fn outcome() -> [Option<Text>] { Ok(turn.outcome(SPELLING)) }
                fn resume(replies: Texts, now: Number) -> [RedisTurn] { turn.resume(&replies, now) }
                fn lost() -> [RedisTurn] { turn.lost() }
            }
        }
    };
}

/// What a refused response means.
#[macro_export]
macro_rules! advice {
    ($table:ident) => {
        $table! { fn explain_response = "explainResponse"(response: Text) -> [Text] { ffi::explain_response(&response, SPELLING) } }
    };
}

/// Resource and authorization servers, and intents.
#[macro_export]
macro_rules! servers {
    ($table:ident) => {
        $table! {
            /// A protected resource, which keeps the keys of its issuers and what was asked about tokens.
            /// `admit` ends with `admitted` and a principal, or with `refused`; `check` with `unconsumed` or `refused`. `route` answers
            /// `{ path }` or `{ refusal }`.
            class ResourceServer[ffi::ResourceServer] as server {
                new(options: Text, verifier: Text) { ffi::ResourceServer::new(&options, &verifier, None, &CRYPTO) }
                static with_store = "withStore"(options: Text, verifier: Text, store: &MemoryStore) -> [ResourceServer] {
                    ffi::ResourceServer::new(&options, &verifier, Some(store), &CRYPTO)
                }
                fn admit(incoming: Incoming, now: Number) -> [Flow] { incoming.show(|incoming| server.admit(incoming, now)) }
                fn check(incoming: Incoming, now: Number) -> [Flow] { incoming.show(|incoming| server.check(incoming, now)) }
                fn difference(incoming: Incoming, reason: Text, now: Number) -> [Option<Text>] {
                    Ok(incoming.show(|incoming| server.difference(incoming, &reason, now)))
                }
                fn route(raw_target: Text, mount_path: Bytes, path: Bytes) -> [Text] {
                    Ok(server.route_json(&ffi::from_byte_string(&raw_target)?, &mount_path, &path))
                }
                fn asks_for_metadata = "asksForMetadata"(method: Text, raw_target: Text, mount_path: Bytes, path: Bytes) -> [bool] {
                    Ok(server.asks_for_metadata(&method, &ffi::from_byte_string(&raw_target)?, &mount_path, &path))
                }
                fn cors(incoming: Incoming) -> [Text] { Ok(incoming.show(|incoming| server.cors(incoming))) }
                fn counters() -> [Text] { Ok(server.counters()) }
                fn metadata() -> [Text] { Ok(server.metadata()) }
                fn metadata_url = "metadataUrl"() -> [Text] { Ok(server.metadata_url()) }
                fn metadata_path = "metadataPath"() -> [Text] { Ok(server.metadata_path()) }
            }
        }
        $table! {
            extend Flow as flow {
                fn entry() -> [Option<Entry>] { Ok(flow.entry()) }
                fn principal() -> [Option<Principal>] { Ok(flow.handle().and_then(ffi::Handle::principal)) }
                fn record(route: OptionalText, microseconds: Number, now: Number) -> [Option<Text>] {
                    Ok(flow.record(route.as_deref(), microseconds, now))
                }
            }
        }
        $table! {
            /// The paths of an application that need no credentials: `/health`, or `/static/*` for all below. `contain` takes the routed path.
            class PublicPaths[ffi::PublicPaths] as paths {
                new(entries: Texts) { ffi::public_paths(&entries) }
                fn contain(path: Text) -> [bool] { Ok(paths.contain(&path)) }
            }
        }
        $table! {
            /// Whom an admitted request is from. `carryOut` ends with `carried_out` or `refused`.
            class Principal[std::sync::Arc<ffi::Principal>] as principal {
                fn require_scopes = "requireScopes"(scopes: Texts) -> [Option<Refusal>] {
                    Ok(principal.require_scopes(&scopes.iter().map(String::as_str).collect::<Vec<_>>()))
                }
                fn refuse_revoked = "refuseRevoked"() -> [Refusal] { Ok(principal.refuse_revoked()) }
                fn intent() -> [Intent] { principal.intent() }
                fn carry_out = "carryOut"(method: Text, url: Text, body: Bytes, now: Number) -> [Flow] {
                    principal.carry_out(&method, &url, &body, now)
                }
            }
        }
        $table! {
            /// The endpoints of an authorization server.
            class AuthorizationServer[ffi::AuthorizationServer] as server {
                new(options: Text) { ffi::AuthorizationServer::new(&options, None, &CRYPTO) }
                static with_store = "withStore"(options: Text, store: &MemoryStore) -> [AuthorizationServer] {
                    ffi::AuthorizationServer::new(&options, Some(store), &CRYPTO)
                }
                fn admit(request: Text, proofs: Texts, now: Number) -> [Flow] {
                    let proofs = ffi::byte_strings(&proofs)?;
                    server.admit(&request, &proofs.iter().map(Vec::as_slice).collect::<Vec<_>>(), now)
                }
                fn fresh_nonce = "freshNonce"(epoch: OptionalText, now: Number) -> [Option<Text>] {
                    server.fresh_nonce(epoch.as_deref(), now)
                }
                fn counters() -> [Text] { Ok(server.counters()) }
                fn metadata(issuer: Text) -> [Text] { Ok(server.metadata(&issuer)) }
            }
        }
        $table! {
            fn access_token = "accessToken"(token: Text, key: &Key, now: Number) -> [Text] { ffi::access_token(&token, key, &CRYPTO, now) }
        }
        $table! {
            /// What a user agreed to, for one key.
            class Intent[ffi::Intent] as intent {
                static declare(details: Text, key: Text, lifetime: Number, now: Number) -> [Intent] {
                    ffi::Intent::declare(&details, &key, ffi::number::not_negative(lifetime), &CRYPTO, now)
                }
                fn grant(granted: Text, now: Number) -> [Intent] { intent.grant(&granted, now) }
                fn permits(method: Text, url: Text, body: Bytes, key: Text, now: Number) -> [()] {
                    intent.permits(&method, &url, &body, &key, now)
                }
                fn details() -> [Text] { Ok(intent.details()) }
                fn key() -> [Text] { Ok(intent.key()) }
                fn expires_at = "expiresAt"() -> [Number] { Ok(intent.expires_at()) }
            }
        }
        $table! {
            fn request_detail = "requestDetail"(method: Text, url: Text, body: OptionalBytes) -> [Text] {
                Ok(ffi::request_detail(&method, &url, body.as_deref(), &CRYPTO))
            }
        }
    };
}

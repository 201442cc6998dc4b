package dev.keybound;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import okhttp3.Request;
import okhttp3.Response;
import org.junit.jupiter.api.Test;

/** The library as Java sees it. */
class JavaTest {
    private static final String URL = "https://api.example.com/items";

    @Test
    void theReadmesFirstProofRuns() throws KeyboundException {
        ReadmeJava.firstProof();
    }

    @Test
    void aProofIsAcceptedOnce() throws KeyboundException {
        Key key = Key.generate();
        String made = Keybound.proof("GET", URL, key, "token");
        VerifierOptions options = new VerifierOptions();
        long now = Clock.SYSTEM.now();
        MemoryReplayStore store = new MemoryReplayStore(options, 1000, now - 3600);
        Verifier verifier = new Verifier(options, store);
        PresentedProof presented = PresentedProof.atResource("GET", URL, List.of(made), "token", key.thumbprint());
        assertEquals(key.thumbprint(), verifier.verify(presented, store).getThumbprint());
        KeyboundException error = assertThrows(KeyboundException.Rejected.class, () -> verifier.verify(presented, store));
        assertEquals("replayed", error.getReason());
        assertEquals(Integer.valueOf(401), error.getFault().getStatus());
        assertEquals(presented.toString(), PresentedProof.atAuthorizationServer("GET", URL, List.of(made), key.thumbprint()).toString());
    }

    /** javac takes no handler for a checked exception that is not declared: that this compiles is the test. */
    @Test
    void constructorsAndFunctionsSayWhatTheyThrow() {
        VerifierOptions odd = VerifierOptions.builder().maxAge(-1L).build();
        try {
            new Verifier(odd);
            fail("an age below zero");
        } catch (KeyboundException error) {
            assertInstanceOf(KeyboundException.Misuse.class, error);
        }
        try {
            new MemoryReplayStore(odd);
            fail("an age below zero");
        } catch (KeyboundException error) {
            assertInstanceOf(KeyboundException.Misuse.class, error);
        }
        try {
            KeyboundClient.builder(ClientOptions.builder(SecurityLevel.ENHANCED).register("{").build()).build();
            fail("no JSON");
        } catch (KeyboundException error) {
            assertEquals("not_json", error.getReason());
        }
        try {
            new SignerKeys((algorithms, protections) -> fail("no key is made")).add(new Signer("{}"));
            fail("no key");
        } catch (KeyboundException error) {
            assertInstanceOf(KeyboundException.Misuse.class, error);
        }
    }

    @Test
    void buildersHaveTheDefaultsOfConstructors() {
        assertEquals(new ClientOptions(SecurityLevel.MAXIMUM), ClientOptions.builder(SecurityLevel.MAXIMUM).build());
        Credentials known = Credentials.builder("https://as.example.com", "app").method("secret").secret("s").build();
        assertEquals(new Credentials("https://as.example.com", "app", "secret", "s"), known);
        ClientOptions options = ClientOptions.builder(SecurityLevel.ENHANCED).credentials(List.of(known)).allowLoopback(true).build();
        assertEquals(List.of(known), options.getCredentials());
        assertTrue(options.getAllowLoopback());
    }

    @Test
    void clocksOfJavaCount() {
        Instant start = Instant.ofEpochSecond(1_700_000_000);
        java.time.Clock clock = java.time.Clock.offset(java.time.Clock.fixed(start, ZoneOffset.UTC), Duration.ofSeconds(5));
        assertEquals(1_700_000_005, Clock.of(clock).now());
    }

    @Test
    void aSignerMakesProofs() throws Exception {
        Key key = Key.generate();
        Signer signer = new Signer(key.publicJwk());
        signer.key = key;
        assertEquals(3, signer.proof("GET", URL, "token").split("\\.").length);
    }

    @Test
    void flowsAreFutures() throws Exception {
        try (Served served = new Served();
                KeyboundClient client = KeyboundClient.builder(served.options(SecurityLevel.ENHANCED)).keys(new Keys()).sessions(new Sessions()).build();
                KeyboundFutures futures = new KeyboundFutures(client)) {
            Discovered discovered = futures.discover(served.getResource()).get();
            SessionRequest request = SessionRequest.builder(new SessionStart.New("work", discovered)).scope("read").build();
            String callback = ServedKt.browse(futures.authorize(request).get().getUrl());
            Session session = futures.exchange(callback).get();
            Request call = new Request.Builder().url(served.getResource()).build();
            try (Response answer = futures.call(session, call).get()) {
                assertEquals(200, answer.code());
            }
            Request write = new Request.Builder().url(served.getResource() + "/write").build();
            try (Response answer = futures.call(session, write).get()) {
                assertEquals("write", assertInstanceOf(Demand.StepUp.class, Responses.demand(answer)).getScope());
            }
            futures.refresh(session).get();
            assertNotNull(futures.open("work").get().info().getThumbprint());
            futures.end(session).get();
            ExecutionException ended = assertThrows(ExecutionException.class, () -> futures.call(session, call).get());
            assertInstanceOf(KeyboundException.LoginRequired.class, ended.getCause());
        }
    }

    /** A signer with a key in memory. */
    private static final class Signer extends BlockingSigner {
        private final String publicJwk;
        private Key key;

        Signer(String publicJwk) {
            this.publicJwk = publicJwk;
        }

        @Override
        public String getPublicJwk() {
            return publicJwk;
        }

        @Override
        public String getAlgorithm() {
            return "ES256";
        }

        @Override
        public Protection getProtection() {
            return Protection.SOFTWARE;
        }

        @Override
        public EncodedSignature signBlocking(SigningRequest request) throws KeyboundException {
            return new EncodedSignature(key.sign(request.getMessage()), SignatureEncoding.RAW);
        }
    }

    /** Keys in memory. */
    private static final class Keys extends BlockingKeyStore {
        private final Map<String, Key> keys = new ConcurrentHashMap<>();

        @Override
        protected CreatedKey createKeyBlocking(List<String> algorithms, List<? extends Protection> protections) throws KeyboundException {
            Key key = Key.generate(algorithms.get(0));
            keys.put(key.thumbprint(), key);
            return new CreatedKey(key.publicJwk(), key.algorithm(), Protection.SOFTWARE);
        }

        @Override
        protected EncodedSignature signBlocking(SigningRequest request) throws Exception {
            Key key = keys.get(request.getThumbprint());
            if (key == null) throw new KeyFaultException.Missing();
            return new EncodedSignature(key.sign(request.getMessage()), SignatureEncoding.RAW);
        }

        @Override
        protected void deleteKeyBlocking(String thumbprint) {
            keys.remove(thumbprint);
        }
    }

    /** Sessions in memory. */
    private static final class Sessions extends BlockingSessionStore {
        private final Map<String, StoredValue> slots = new HashMap<>();
        private final Map<String, Semaphore> turns = new ConcurrentHashMap<>();

        @Override
        protected synchronized StoredValue loadBlocking(String slot) {
            return slots.get(slot);
        }

        @Override
        protected synchronized boolean saveBlocking(String slot, Long expected, long version, String value) {
            StoredValue known = slots.get(slot);
            if (!Objects.equals(known == null ? null : known.getVersion(), expected)) return false;
            if (value == null) slots.remove(slot);
            else slots.put(slot, new StoredValue(version, value));
            return true;
        }

        @Override
        protected StoreLock lockBlocking(String name, long lease) throws Exception {
            Semaphore turn = turns.computeIfAbsent(name, any -> new Semaphore(1));
            if (!turn.tryAcquire(lease, TimeUnit.SECONDS)) throw new KeyboundException.Host(Keybound.lockTimeout(lease));
            return turn::release;
        }
    }
}

package dev.keybound;

import java.nio.file.Path;
import java.security.KeyPair;
import java.security.Signature;
import java.util.List;
import java.util.concurrent.ExecutionException;
import okhttp3.Interceptor;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.Response;

/** The README's examples in Java, compiled. {@code ReadmeTest} looks for each of them here. */
final class ReadmeJava {
    static void firstProof() throws KeyboundException {
        Key key = Key.generate(); // ES256
        VerifierOptions options = VerifierOptions.builder().nonces(new NonceOptions()).build();
        MemoryReplayStore store = new MemoryReplayStore(options);
        Verifier verifier = new Verifier(options, store);

        String url = "https://api.example.com/items";
        String nonce = verifier.freshNonce(ServerRole.RESOURCE);
        String proof = Keybound.proof("GET", url, key, "the-token", nonce); // the value of the DPoP field

        PresentedProof presented = PresentedProof.atResource("GET", url, List.of(proof), "the-token", key.thumbprint());
        VerifiedProof verified = verifier.verify(presented, store);
        System.out.println(verified.getAlgorithm()); // ES256
    }

    interface Browser {
        void open(String url);

        String callback();
    }

    static void login(Browser browser) throws Exception {
        ClientOptions options = ClientOptions.builder(SecurityLevel.ENHANCED)
                .redirectUri("http://127.0.0.1:7391/callback")
                .credentials(List.of(new Credentials("https://login.example.com", "my-client")))
                .build();
        KeyboundFutures client = KeyboundClient.builder(options)
                .store(FileStore.open(Path.of("sessions")))
                .buildFutures();

        Discovered api = client.discover("https://api.example.com/items").get();
        SessionRequest request = SessionRequest.builder(new SessionStart.New("work", api)).scope("read").build();
        browser.open(client.authorize(request).get().getUrl());
        Session session = client.exchange(browser.callback()).get();

        Request items = new Request.Builder().url("https://api.example.com/items").build();
        try (Response response = client.call(session, items).get()) {
            System.out.println(response.body().string());
        }
    }

    static Session session(KeyboundFutures client, Browser browser) throws Exception {
        try {
            return client.open("work").get();
        } catch (ExecutionException failed) {
            if (!(failed.getCause() instanceof KeyboundException.LoginRequired)) throw failed;
            return login(client, browser); // none is stored, or it has ended
        }
    }

    static Session login(KeyboundFutures client, Browser browser) throws Exception {
        Discovered api = client.discover("https://api.example.com/items").get();
        browser.open(client.authorize(new SessionRequest(new SessionStart.New("work", api))).get().getUrl());
        return client.exchange(browser.callback()).get();
    }

    static Interceptor interceptor(KeyboundFutures client, Session session) {
        return new KeyboundInterceptor(client.getClient(), () -> session);
    }

    static MemoryReplayStore storeOfATest(VerifierOptions options) throws KeyboundException {
        return MemoryReplayStore.builder(options).dangerFirstStart(true).build();
    }

    static void okHttp(KeyboundFutures client, Session session, Request items) throws Exception {
        OkHttpClient http = client.getClient().install(new OkHttpClient.Builder(), session);
        try (Response response = http.newCall(items).execute()) {
            System.out.println(response.code());
        }
    }

    static void errors(KeyboundFutures client, Session session, Request items) throws Exception {
        try (Response response = client.call(session, items).get()) {
            if (Responses.demand(response) instanceof Demand.StepUp more) {
                System.out.println(client.stepUp(session, more.getScope()).get().getUrl());
            }
        } catch (ExecutionException failed) {
            if (failed.getCause() instanceof KeyboundException.LoginRequired error) {
                System.out.println("log in again: " + error.getReason());
            }
        }
    }

    static final class PairSigner extends BlockingSigner {
        private final KeyPair pair;
        private final String publicJwk;

        PairSigner(KeyPair pair, String publicJwk) {
            this.pair = pair;
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
        public EncodedSignature signBlocking(SigningRequest request) throws Exception {
            Signature signature = Signature.getInstance("SHA256withECDSA");
            signature.initSign(pair.getPrivate());
            signature.update(request.getMessage());
            return new EncodedSignature(signature.sign(), SignatureEncoding.DER);
        }
    }
}

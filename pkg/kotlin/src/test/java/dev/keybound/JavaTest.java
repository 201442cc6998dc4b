package dev.keybound;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import java.util.concurrent.ExecutionException;
import okhttp3.Request;
import org.junit.jupiter.api.Test;

/** The library as Java sees it. */
class JavaTest {
    @Test
    void proofsAreMadeAndJudged() throws KeyboundException {
        Key key = Key.generate();
        String url = "https://api.example.com/items";
        String made = KeyboundKt.proof("GET", url, key, "token");
        VerifierOptions options = new VerifierOptions();
        long now = Clock.SYSTEM.now();
        MemoryReplayStore store = new MemoryReplayStore(options, 1000, now - 3600);
        Verifier verifier = new Verifier(options, store);
        PresentedProof presented = new PresentedProof("GET", url, List.of(made), "token", key.thumbprint());
        assertEquals(key.thumbprint(), verifier.verify(presented, store, now).getThumbprint());
        KeyboundException.Rejected error = assertThrows(KeyboundException.Rejected.class, () -> verifier.verify(presented, store, now));
        assertEquals("replayed", error.getFault().getReason());
        assertEquals(Integer.valueOf(401), error.getFault().getStatus());
    }

    @Test
    void flowsAreFutures() throws Exception {
        try (Served served = new Served();
                KeyboundClient client = new KeyboundClient(served.options(SecurityLevel.ENHANCED));
                KeyboundFutures futures = new KeyboundFutures(client)) {
            Discovered discovered = futures.discover(served.getResource()).get();
            SessionRequest request = new SessionRequest(new SessionStart.New("work", discovered));
            String callback = ServedKt.browse(futures.authorize(request).get().getUrl());
            Session session = futures.exchange(callback).get();
            Request call = new Request.Builder().url(served.getResource()).build();
            assertEquals(200, futures.call(session, call).get().code());
            futures.end(session).get();
            ExecutionException ended = assertThrows(ExecutionException.class, () -> futures.call(session, call).get());
            assertInstanceOf(KeyboundException.LoginRequired.class, ended.getCause());
        }
    }
}

package app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.keybound.KeyboundClient;
import dev.keybound.KeyboundFutures;
import dev.keybound.Session;
import dev.keybound.testing.TestIssuer;
import dev.keybound.testing.TestResponse;
import okhttp3.Request;
import okhttp3.Response;
import org.junit.jupiter.api.Test;

/** The guide's example in Java: {@code ReadmeTest} looks for it here. */
class ItemsInJavaTest {
    private final TestIssuer issuer = TestIssuer.builder("https://api.example.com").clientId("my-client").build();

    @Test
    void itemsAreThoseOfTheUser() throws Exception {
        KeyboundFutures client = KeyboundClient.builder(issuer.options())
                .http(issuer.getHttp())
                .clock(issuer.getClock())
                .buildFutures();
        issuer.setApi((request, caller) -> new TestResponse("of " + caller.getSubject()));
        Session session = issuer.login(client).get();
        Request items = new Request.Builder().url("https://api.example.com/items").build();
        try (Response response = client.call(session, items).get()) {
            assertEquals("of alice", response.body().string());
        }
        try (Response response = issuer.sendAsThief(session, items)) {
            assertEquals(401, response.code());
        }
        String token = session.dangerAccessToken();
        issuer.getClock().advance(3600);
        try (Response response = client.call(session, items).get()) {
            assertEquals(200, response.code());
        }
        assertNotEquals(token, session.dangerAccessToken());
    }
}

package dev.keybound;

import java.util.concurrent.CompletableFuture;

/** The README's example in Java, compiled. */
final class ReadmeJava {
    static void example() throws KeyboundException {
        Key key = Key.generate();
        String made = KeyboundKt.proof("GET", "https://api.example.com/items", key, "the-token");

        KeyboundClient client = new KeyboundClient(new ClientOptions(SecurityLevel.ENHANCED));
        KeyboundFutures futures = new KeyboundFutures(client);
        CompletableFuture<Discovered> discovered = futures.discover("https://api.example.com/items");
    }
}

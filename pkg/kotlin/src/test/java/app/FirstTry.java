package app;

import dev.keybound.ClientOptions;
import dev.keybound.KeyboundClient;
import dev.keybound.KeyboundFutures;
import dev.keybound.SecurityLevel;

/** A program that uses a client, closes nothing, and ends with {@code main}. */
public final class FirstTry {
    private FirstTry() {}

    /** Prints the issuer that protects the URL in the first argument. */
    public static void main(String[] arguments) throws Exception {
        ClientOptions options = ClientOptions.builder(SecurityLevel.ENHANCED).allowLoopback(true).build();
        KeyboundFutures client = KeyboundClient.builder(options).buildFutures();
        System.out.println(client.discover(arguments[0]).get().issuer());
    }
}

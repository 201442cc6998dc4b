// A library that others wrote, com.nimbusds:oauth2-oidc-sdk, makes and verifies proofs. Its one argument is JSON: a list of tasks. A task
// with a `proof` is to verify it, one with an `algorithm` to make one. It prints one JSON line for each.

import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jose.util.Base64URL;
import com.nimbusds.jose.util.JSONArrayUtils;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.dpop.DefaultDPoPProofFactory;
import com.nimbusds.oauth2.sdk.dpop.JWKThumbprintConfirmation;
import com.nimbusds.oauth2.sdk.dpop.verifiers.DPoPIssuer;
import com.nimbusds.oauth2.sdk.dpop.verifiers.DPoPProofUse;
import com.nimbusds.oauth2.sdk.dpop.verifiers.DPoPProtectedResourceRequestVerifier;
import com.nimbusds.oauth2.sdk.dpop.verifiers.DPoPTokenRequestVerifier;
import com.nimbusds.oauth2.sdk.token.DPoPAccessToken;
import com.nimbusds.oauth2.sdk.util.singleuse.AlreadyUsedException;
import com.nimbusds.oauth2.sdk.util.singleuse.SingleUseChecker;
import com.nimbusds.openid.connect.sdk.Nonce;
import java.net.URI;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

public final class Nimbus {
    private static final Set<JWSAlgorithm> ALGORITHMS = new LinkedHashSet<>();
    private static final DPoPIssuer ISSUER = new DPoPIssuer("client");
    private static final Map<String, JWK> KEYS = new HashMap<>();
    private static final long MAX_AHEAD = 10;
    private static final long MAX_AGE = 60;

    /** Remembers every proof. */
    private static final SingleUseChecker<DPoPProofUse> SEEN = new SingleUseChecker<>() {
        private final Set<String> seen = new HashSet<>();

        @Override
        public void markAsUsed(DPoPProofUse use) throws AlreadyUsedException {
            if (!seen.add(use.getJWTID().getValue())) throw new AlreadyUsedException("the proof was used before");
        }
    };

    public static void main(String[] arguments) throws Exception {
        ALGORITHMS.addAll(JWSAlgorithm.Family.EC);
        ALGORITHMS.addAll(JWSAlgorithm.Family.RSA);
        ALGORITHMS.remove(JWSAlgorithm.ES256K);
        for (Object task : JSONArrayUtils.parse(arguments[0])) {
            @SuppressWarnings("unchecked") Map<String, Object> map = (Map<String, Object>) task;
            System.out.println(JSONObjectUtils.toJSONString(map.containsKey("proof") ? verified(map) : made(map)));
        }
    }

    private static Map<String, Object> verified(Map<String, Object> task) throws Exception {
        Map<String, Object> verdict = new HashMap<>();
        try {
            SignedJWT proof = SignedJWT.parse((String) task.get("proof"));
            String token = (String) task.get("access_token");
            Nonce nonce = nonce(task);
            URI target = new URI((String) task.get("target"));
            if (token == null) {
                new DPoPTokenRequestVerifier(ALGORITHMS, target, MAX_AHEAD, MAX_AGE, SEEN).verify(ISSUER, proof, nonce);
            } else {
                JWKThumbprintConfirmation bound = new JWKThumbprintConfirmation(new Base64URL((String) task.get("jkt")));
                new DPoPProtectedResourceRequestVerifier(ALGORITHMS, MAX_AHEAD, MAX_AGE, SEEN)
                    .verify((String) task.get("method"), target, ISSUER, proof, new DPoPAccessToken(token), bound, nonce);
            }
            verdict.put("accepted", true);
        } catch (Exception refusal) {
            verdict.put("accepted", false);
            verdict.put("reason", refusal.getClass().getSimpleName() + ": " + refusal.getMessage());
        }
        return verdict;
    }

    private static Map<String, Object> made(Map<String, Object> task) throws Exception {
        JWSAlgorithm algorithm = JWSAlgorithm.parse((String) task.get("algorithm"));
        JWK key = key(algorithm);
        String token = (String) task.get("access_token");
        SignedJWT proof = new DefaultDPoPProofFactory(key, algorithm).createDPoPJWT(
            (String) task.get("method"), new URI((String) task.get("target")), token == null ? null : new DPoPAccessToken(token), nonce(task));
        return new HashMap<>(Map.of("proof", proof.serialize(), "jkt", key.computeThumbprint().toString()));
    }

    /** A key for this algorithm; those of RSA share one, which takes long to make. */
    private static JWK key(JWSAlgorithm algorithm) throws Exception {
        boolean isRsa = JWSAlgorithm.Family.RSA.contains(algorithm);
        String kind = isRsa ? "RSA" : algorithm.getName();
        if (!KEYS.containsKey(kind)) {
            KEYS.put(kind, isRsa
                ? new RSAKeyGenerator(2048).generate()
                : new ECKeyGenerator(Curve.forJWSAlgorithm(algorithm).iterator().next()).generate());
        }
        return KEYS.get(kind);
    }

    private static Nonce nonce(Map<String, Object> task) {
        return task.get("nonce") == null ? null : new Nonce((String) task.get("nonce"));
    }
}

/* A provider of identities for test_oidc.py: node oidc_provider.mjs PORT REDIRECT_URI KIDS
 * Who signs in with a name has that name; groups and tenant come with it. KIDS ("a,b") are the names
 * of its keys, made anew at each start; the first is RSA, the second EC. */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { generateKeyPairSync } from "node:crypto";

const require = createRequire(process.env.OIDC_MODULES + "/");
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const [port, redirect, kids] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const people = {
  root: { groups: ["staff", "tars-admins"] },
  will: { groups: ["tars-writers"] },
  rita: { groups: ["staff"] },
  acme: { groups: [], org: "acme" },
};

const [rsa, ec] = kids.split(",");
const keys = [
  { kind: ["rsa", { modulusLength: 2048 }], kid: rsa, alg: "RS256" },
  { kind: ["ec", { namedCurve: "P-256" }], kid: ec, alg: "ES256" },
].map(({ kind, kid, alg }) => ({
  ...generateKeyPairSync(...kind).privateKey.export({ format: "jwk" }), kid, alg, use: "sig",
}));

const client = (client_id, more) => ({
  client_id, redirect_uris: [redirect], response_types: ["code"], grant_types: ["authorization_code"], ...more,
});

const provider = new Provider(issuer, {
  jwks: { keys },
  cookies: { keys: ["only for tests"] },
  clients: [
    client("tars", { client_secret: "a secret of the client, for tests", token_endpoint_auth_method: "client_secret_basic" }),
    client("tars-public", { token_endpoint_auth_method: "none", id_token_signed_response_alg: "ES256" }),
    { client_id: "robot", client_secret: "a secret of the robot, for tests", redirect_uris: [], response_types: [],
      grant_types: ["client_credentials"] },
  ],
  claims: { openid: ["sub"], profile: ["preferred_username", "groups", "org"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, ...people[id] }),
  }),
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "", audience: resource, accessTokenFormat: "jwt",
        jwt: { sign: { alg: resource.endsWith("/ec") ? "ES256" : "RS256" } },
      }),
    },
  },
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));

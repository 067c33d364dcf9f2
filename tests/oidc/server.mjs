// An authorization server that this project did not write, npm's `oidc-provider`, on a free port of 127.0.0.1.
//
//   node server.mjs      prints "ready http://127.0.0.1:PORT", and ends when its stdin does
//
// With TLS_FOLDER in its environment, where server.pem and client.pem are, it listens with TLS on a second port too, asks
// for certificates there, and names that port in mtls_endpoint_aliases (RFC 8705 section 5).
//
// People sign in and consent by form: POST action=approve|deny, login=NAME, refuse="SCOPE ..." to /interaction/...
// For tests alone:
//   GET  /_clients           the registered clients, as JSON
//   GET  /_stats             what was asked for since the last reset, as JSON
//   POST /_reset             starts the counters anew and puts the switches back
//   POST /_switch?NAME=N     busy: that many token requests are answered with 503 and Retry-After: 1
//                            access_ttl: seconds that new access tokens live
//                            par: 1 demands that authorization requests are pushed
//                            nonce: 1 demands nonces of the server in DPoP proofs, here and at the API
//                            write: 1 has the API demand the scope api.write
//   POST /_phone?login=NAME&action=approve|deny   NAME, who is asked on a phone (CIBA), answers; bob has the code 4711
//   POST /_expire            the API takes none of the access tokens that were issued so far
//   GET  /resource           an API: answers those who bring a token that lives, with a proof where it is bound
//   GET  /files              another: the same, and each of both takes no token that names the other as its audience
// Apps may register themselves; what they manage their registration with changes with every use.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { EmbeddedJWK, calculateJwkThumbprint, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const CIBA = 'urn:openid:params:grant-type:ciba';
const SECRET = 'not-a-secret-only-for-tests-0123456789';
const USUAL = { busy: 0, access_ttl: 300, nonce: 0, par: 0, write: 0 };
const switches = { ...USUAL };
const stats = {};
const issued = new Set();
const expired = new Set();
const count = (name) => { stats[name] = (stats[name] ?? 0) + 1; };

// A redirect URI of a native app is good on any port (RFC 8252 section 7.3), one of a web app on its own port only.
const withCode = (name, application_type = 'native') => ({
  application_type,
  redirect_uris: [`http://127.0.0.1:8421/callback/${name}`],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token'],
});
const withoutBrowser = (...grant_types) => ({ redirect_uris: [], response_types: [], grant_types });
// The keys of the clients that prove themselves by one: the tests get the private halves from /_clients.
const newKey = (kid) => ({ ...crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }), kid, alg: 'ES256' });
const clientKey = newKey('client');
const { d: _, ...clientPublic } = clientKey;
const nextKey = newKey('next');
const { d: __, ...nextPublic } = nextKey;
const byKey = { jwks: { keys: [clientPublic, nextPublic] }, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' };
const pem = (name) => fs.readFileSync(path.join(process.env.TLS_FOLDER, name));
const tls = process.env.TLS_FOLDER && { server: pem('server.pem'), client: new crypto.X509Certificate(pem('client.pem')) };
const bound = { tls_client_certificate_bound_access_tokens: true };
const byCertificate = tls ? [
  {
    client_id: 'mtls-self', token_endpoint_auth_method: 'self_signed_tls_client_auth', ...bound, ...withCode('mtls-self'),
    jwks: { keys: [{ ...tls.client.publicKey.export({ format: 'jwk' }), x5c: [tls.client.raw.toString('base64')], use: 'sig' }] },
  },
  { client_id: 'mtls-ca', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'CN=client', ...bound, ...withoutBrowser('client_credentials') },
  { client_id: 'mtls-fapi2', ...byKey, ...bound, require_pushed_authorization_requests: true, id_token_signed_response_alg: 'ES256', ...withCode('mtls-fapi2') },
] : [];
const clients = [
  ...byCertificate,
  { client_id: 'basic', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic', ...withCode('basic') },
  { client_id: 'post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post', ...withCode('post', 'web') },
  { client_id: 'public', token_endpoint_auth_method: 'none', ...withCode('public') },
  { client_id: 'odd:id/+%41', client_secret: 'p%a+s s:w&=rd/0123456789-0123456789', token_endpoint_auth_method: 'client_secret_basic', ...withCode('odd') },
  { client_id: 'device', token_endpoint_auth_method: 'none', application_type: 'native', ...withoutBrowser(DEVICE, 'refresh_token') },
  { client_id: 'secretjwt', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt', ...withCode('secretjwt') },
  { client_id: 'pkjwt', ...byKey, ...withCode('pkjwt') },
  { client_id: 'dpop', token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true, ...withCode('dpop') },
  { client_id: 'pkjwt-dpop', ...byKey, dpop_bound_access_tokens: true, ...withCode('pkjwt-dpop') },
  { client_id: 'service-dpop', ...byKey, dpop_bound_access_tokens: true, ...withoutBrowser('client_credentials') },
  { client_id: 'device-dpop', token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true, application_type: 'native', ...withoutBrowser(DEVICE, 'refresh_token') },
  { client_id: 'par', client_secret: SECRET, require_pushed_authorization_requests: true, ...withCode('par') },
  { client_id: 'jar', ...byKey, request_object_signing_alg: 'ES256', require_signed_request_object: true, ...withCode('jar') },
  { client_id: 'jarm', client_secret: SECRET, authorization_signed_response_alg: 'RS256', ...withCode('jarm') },
  { client_id: 'fapi2', ...byKey, dpop_bound_access_tokens: true, require_pushed_authorization_requests: true, id_token_signed_response_alg: 'ES256', ...withCode('fapi2') },
  { client_id: 'resource', client_secret: SECRET, ...withCode('resource') },
  { client_id: 'ciba', client_secret: SECRET, backchannel_token_delivery_mode: 'poll', backchannel_user_code_parameter: true, ...withoutBrowser(CIBA, 'refresh_token') },
  { client_id: 'resource-dpop', token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true, ...withCode('resource-dpop') },
  { client_id: 'service', client_secret: SECRET, ...withoutBrowser('client_credentials') },
];

const phones = new Map();
const byPhone = {
  enabled: true, deliveryModes: ['poll'],
  processLoginHint: (ctx, hint) => (['ada', 'bob'].includes(hint) ? hint : undefined),
  triggerAuthenticationDevice: (ctx, request, account) => { phones.set(account.accountId, { request, message: ctx.oidc.params.binding_message }); },
  validateBindingMessage: (ctx, message) => { if (message && !/^[\w-]{1,20}$/.test(message)) throw new errors.InvalidBindingMessage(); },
  validateRequestContext: () => {},
  verifyUserCode: (ctx, account, code) => {
    if (account.accountId !== 'bob') return;
    if (!code) throw new errors.MissingUserCode();
    if (code !== '4711') throw new errors.InvalidUserCode();
  },
};

async function answerPhone(provider, query, res) {
  const { request, message } = phones.get(query.get('login'));
  phones.delete(query.get('login'));
  if (query.get('action') !== 'approve') await provider.backchannelResult(request, new errors.AccessDenied('the person said no'));
  else {
    const grant = new provider.Grant({ clientId: request.clientId, accountId: request.accountId });
    grant.addOIDCScope(request.scope);
    await grant.save();
    await provider.backchannelResult(request, grant, { authTime: Math.floor(Date.now() / 1000) });
  }
  return json(res, { message: message ?? null });
}

const peerCertificate = (ctx) => ctx.socket.getPeerX509Certificate?.();
const mutual = {
  enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, tlsClientAuth: true,
  getCertificate: peerCertificate,
  certificateAuthorized: (ctx) => ctx.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_subject_dn' && peerCertificate(ctx).subject === expected,
};
const aliases = (base) => ({
  mtls_endpoint_aliases: {
    token_endpoint: `${base}/token`, revocation_endpoint: `${base}/token/revocation`, userinfo_endpoint: `${base}/me`,
    pushed_authorization_request_endpoint: `${base}/request`,
  },
});

function createProvider(issuer, tlsBase) {
  const on = { enabled: true };
  const provider = new Provider(issuer, {
    clients,
    discovery: tlsBase ? aliases(tlsBase) : {},
    jwks: { keys: [{ ...rsaKey(), alg: 'RS256', use: 'sig', kid: 'rs' }, { ...ecKey(), alg: 'ES256', use: 'sig', kid: 'es' }] },
    cookies: { keys: ['a-cookie-key-for-tests'] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'api.read', 'api.write'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => claimsOf(id) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: () => switches.access_ttl, ClientCredentials: () => switches.access_ttl, RefreshToken: 3600,
      AuthorizationCode: 60, DeviceCode: 120, IdToken: 7200, Grant: 86400, Interaction: 600, Session: 86400,
    },
    features: {
      ...(tls && { mTLS: mutual }),
      devInteractions: { enabled: false }, revocation: on, clientCredentials: on, deviceFlow: on,
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: false },
      requestObjects: { enabled: true, requireSignedRequestObject: false }, jwtResponseModes: on, introspection: on, jwtIntrospection: on,
      registration: on, registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx, resource) => {
          if (![`${issuer}/resource`, `${issuer}/files`].includes(resource)) throw new errors.InvalidTarget();
          return { scope: 'api.read api.write', audience: resource, accessTokenTTL: switches.access_ttl, accessTokenFormat: 'opaque' };
        },
      },
      ciba: byPhone,
      dPoP: { enabled: true, nonceSecret: crypto.randomBytes(32), requireNonce: () => Boolean(switches.nonce) },
    },
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'Ed25519', 'EdDSA', 'PS256'] },
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none',
      ...(tls ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
    ],
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  });
  provider.use(sayInterval);
  provider.on('grant.success', (ctx) => { count('tokens'); count(`${ctx.oidc.params.grant_type} granted`); });
  provider.on('grant.error', (ctx, error) => {
    count(`${ctx.oidc.params?.grant_type} refused`);
    if (/already used/.test(error.error_detail ?? '')) count('reuse');
    console.log(`refused: ${error.error}, ${error.error_detail ?? error.error_description}`);
  });
  provider.on('access_token.saved', (token) => issued.add(token.jti));
  provider.on('server_error', (ctx, error) => console.log(error));
  return provider;
}
const ecKey = () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const rsaKey = () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const claimsOf = (id) => ({ sub: id, name: `Person ${id}`, email: `${id}@example.test` });

// oidc-provider leaves `interval` away, which then is 5 s (RFC 8628 section 3.2): too long for tests of the command.
async function sayInterval(ctx, next) {
  await next();
  if (ctx.oidc?.route === 'device_authorization' && ctx.status === 200) ctx.body.interval = 1;
}

// -- the person's pages ------------------------------------------------------------------------------------------------

async function interaction(provider, req, res) {
  const details = await provider.interactionDetails(req, res);
  if (req.method === 'GET') {
    res.setHeader('content-type', 'text/html');
    return res.end(`<form method="post"><p>Please: ${details.prompt.name}</p><input name="login" value="alice" aria-label="Login">
      <button name="action" value="approve">Approve</button><button name="action" value="deny">Deny</button></form>`);
  }
  const form = await formOf(req);
  const result = await answer(provider, details, form);
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: Boolean(result.consent) });
}

async function answer(provider, details, form) {
  if (form.get('action') !== 'approve') return { error: 'access_denied', error_description: 'the person said no' };
  if (details.prompt.name === 'login') return { login: { accountId: form.get('login') } };
  return { consent: { grantId: await consent(provider, details, (form.get('refuse') ?? '').split(' ')) } };
}

async function consent(provider, { params, grantId, session, prompt }, refused) {
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const asked = prompt.details.missingOIDCScope ?? [];
  grant.addOIDCScope(asked.filter((scope) => !refused.includes(scope)).join(' '));
  grant.rejectOIDCScope(asked.filter((scope) => refused.includes(scope)).join(' '));
  for (const [uri, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(uri, scopes.filter((scope) => !refused.includes(scope)).join(' '));
    grant.rejectResourceScope(uri, scopes.filter((scope) => refused.includes(scope)).join(' '));
  }
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return grant.save();
}

async function formOf(req) {
  let text = '';
  for await (const chunk of req) text += chunk;
  return new URLSearchParams(text);
}

// -- the API and the tests' own pages ----------------------------------------------------------------------------------

const json = (res, value) => { res.setHeader('content-type', 'application/json'); res.end(JSON.stringify(value)); };

const METADATA = '/.well-known/oauth-protected-resource/resource';

async function resource(provider, pathname, req, res) {
  count('calls');
  const [scheme, token] = (req.headers.authorization ?? '').split(' ');
  const found = token && ((await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token)));
  const where = `resource_metadata="${provider.issuer}${METADATA}"`;
  const refuse = (error, more = {}) => {
    const said = [error && `error="${error}"`, where].filter(Boolean).join(', ');
    res.writeHead(401, { 'www-authenticate': `${found?.jkt ? 'dPOP' : 'Bearer'} ${said}`, ...more });
    res.end();
  };
  if (!found || found.isExpired || expired.has(found.jti)) return refuse(token ? 'invalid_token' : '');
  if (found.aud && found.aud !== `${provider.issuer}${pathname}`) return refuse('invalid_token');
  if (found['x5t#S256'] && found['x5t#S256'] !== thumbprintOf(req)) return refuse('invalid_token');
  if (scheme !== (found.jkt ? 'DPoP' : 'Bearer')) return refuse('invalid_token');
  if (found.jkt && !(await proves(provider, req, token, found))) return refuse('invalid_dpop_proof');
  if (found.jkt && switches.nonce && !spends(req)) return refuse('use_dpop_nonce', { 'dpop-nonce': freshNonce() });
  if (found.jkt && switches.nonce) res.setHeader('dpop-nonce', freshNonce());
  if (switches.write && !found.scope?.includes('api.write')) {
    res.writeHead(403, { 'www-authenticate': `Bearer error="insufficient_scope", scope="api.write", ${where}` });
    return res.end();
  }
  return json(res, { sub: found.accountId ?? null, client_id: found.clientId, scope: found.scope ?? null, ...(found.aud && { aud: found.aud }) });
}

function thumbprintOf(req) {
  const raw = req.socket.getPeerX509Certificate?.()?.raw;
  return raw && crypto.createHash('sha256').update(raw).digest('base64url');
}

// Each nonce of the API is good for one request, and each answer gives the next.
const nonces = new Set();
const freshNonce = () => { const nonce = crypto.randomUUID(); nonces.add(nonce); return nonce; };
const spends = (req) => nonces.delete(JSON.parse(Buffer.from(req.headers.dpop.split('.')[1], 'base64url')).nonce);

async function proves(provider, req, token, found) {
  try {
    const { payload, protectedHeader } = await jwtVerify(req.headers.dpop ?? '', EmbeddedJWK, { typ: 'dpop+jwt' });
    const ath = crypto.createHash('sha256').update(token).digest('base64url');
    if (used.has(payload.jti)) return false;
    used.add(payload.jti);
    const meant = payload.ath === ath && payload.htm === req.method && payload.htu === `${provider.issuer}${req.url.split("?")[0]}`;
    return meant && (await calculateJwkThumbprint(protectedHeader.jwk)) === found.jkt;
  } catch {
    return false;
  }
}
const used = new Set();

function reset(res) {
  Object.assign(switches, USUAL);
  for (const name of Object.keys(stats)) delete stats[name];
  res.end();
}

function expire(res) {
  for (const token of issued) expired.add(token);
  res.end();
}

function flip(res, query) {
  for (const [name, value] of query) switches[name] = Number(value);
  res.end();
}

function busy(res) {
  switches.busy -= 1;
  count('busy');
  res.writeHead(503, { 'retry-after': '1' });
  res.end('busy');
}

// -- the server --------------------------------------------------------------------------------------------------------

async function serve(provider, others, req, res) {
  const { pathname, searchParams } = new URL(req.url, provider.issuer);
  res.on('finish', () => pathname.startsWith('/_') || console.log(`${req.method} ${pathname} ${res.statusCode}`));
  try {
    if (pathname === '/_clients') return json(res, clients.map((one) => ({ ...one, ...(one.jwks && { private_key: JSON.stringify(clientKey), next_key: JSON.stringify(nextKey) }) })));
    if (pathname === '/_stats') return json(res, stats);
    if (pathname === '/_reset') return reset(res);
    if (pathname === '/_switch') return flip(res, searchParams);
    if (pathname === '/_phone') return await answerPhone(provider, searchParams, res);
    if (pathname === '/_expire') return expire(res);
    if (pathname === METADATA) return json(res, { resource: `${provider.issuer}/resource`, authorization_servers: [provider.issuer], scopes_supported: ['api.read'] });
    if (['/resource', '/files'].includes(pathname)) return await resource(provider, pathname, req, res);
    if (pathname === '/token' && switches.busy > 0) return busy(res);
    if (pathname.startsWith('/interaction/')) return await interaction(provider, req, res);
    return await others(req, res);
  } catch (error) {
    console.log(error);
    res.writeHead(400);
    return res.end(String(error?.error_description ?? error?.message ?? error));
  }
}

const here = (server) => new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));
const server = http.createServer();
const issuer = `http://127.0.0.1:${await here(server)}`;
const secure = tls && https.createServer({ cert: tls.server, key: tls.server, ca: [pem('client.pem')], requestCert: true, rejectUnauthorized: false });
const tlsBase = secure && `https://127.0.0.1:${await here(secure)}`;
const provider = createProvider(issuer, tlsBase);
const others = provider.callback();
for (const one of [server, secure].filter(Boolean)) one.on('request', (req, res) => serve(provider, others, req, res));
console.log(`ready ${issuer}`);
process.stdin.on('end', () => process.exit()).resume();

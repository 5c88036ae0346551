// Load for a T.A.R.S. server, with k6 1.8 or later; docs/load.md tells of it.
//
//   k6 run --no-usage-report -e TARS_URL=https://tars.example -e QUESTIONS=$PWD/questions.txt -e SHAPE=ramp tars.js
//
//   TARS_URL     the server; http://127.0.0.1:8000
//   TARS_TOKEN   an access token; or TARS_CLIENT_ID and TARS_CLIENT_SECRET, with which one is fetched; else none is sent
//   QUESTIONS    file with a question a line, the most asked first (an absolute path); deploy/load/questions makes one
//   SHAPE        ramp, soak, spike, stress; crowd: so many askers one after the other
//   TRAFFIC      search (/rag/search), ask (/rag/query), stream (/rag/query/stream), chat (/ws/chat), mix
//   RATE         questions a second that the server must bear; 220
//   SECONDS      length of the main phase; 60 (soak: give hours)
//   ASKERS       requests under way at once, at most; 200
//   MIN_RATE, P95_MS, MAX_ERRORS, MIN_HITS   the gates: 200, 250, 0.005, 0.8
//   GENERATES=1  a language model writes: errors are judged, times are told
//   ZIPF, TOP_K  how unevenly questions are asked, and passages for each; 1.0, 5
//   THRESHOLD    relevance that a passage must have; the server's own
//   SUMMARY      a file for the figures as JSON
//
// k6 ends with 99 when a gate failed. RATE_LIMIT_PER_MINUTE=0 (or a high one) belongs to such a test, and for chats
// WS_MAX_CONNECTIONS above ASKERS.
import exec from 'k6/execution';
import http from 'k6/http';
import { SharedArray } from 'k6/data';
import { phasesOf, phaseAt, scenariosOf } from './shapes.js';
import { kindOf, kinds } from './traffic.js';

function number(name, otherwise) {
    const value = __ENV[name] ? Number(__ENV[name]) : otherwise;
    if (!Number.isFinite(value)) {
        throw new Error(`${name}=${__ENV[name]}: it must be a number`);
    }
    return value;
}

const config = {
    url: (__ENV.TARS_URL || 'http://127.0.0.1:8000').replace(/\/$/, ''),
    shape: __ENV.SHAPE || 'ramp',
    traffic: __ENV.TRAFFIC || 'search',
    rate: number('RATE', 220),
    seconds: number('SECONDS', 60),
    askers: number('ASKERS', 200),
    minRate: number('MIN_RATE', 200),
    p95: number('P95_MS', 250),
    maxErrors: number('MAX_ERRORS', 0.005),
    minHits: number('MIN_HITS', 0.8),
    generates: number('GENERATES', 0) !== 0,
    zipf: number('ZIPF', 1.0),
    topK: number('TOP_K', 5),
    threshold: number('THRESHOLD', -1),
};
if (config.traffic !== 'mix' && !kinds[config.traffic]) {
    throw new Error(`TRAFFIC=${config.traffic}: it must be one of ${Object.keys(kinds).join(', ')}, mix`);
}
if (!__ENV.QUESTIONS) {
    throw new Error('QUESTIONS must name a file of questions, by its absolute path');
}

const questions = new SharedArray('questions', () => open(__ENV.QUESTIONS).split('\n').map((line) => line.trim()).filter((line) => line));
if (!questions.length) {
    throw new Error(`QUESTIONS=${__ENV.QUESTIONS}: there is no question in it`);
}
// weights[r]: how often one of the first r + 1 questions is asked; question number r with a weight of 1 / (r + 1)^ZIPF.
const weights = new SharedArray('weights', () => {
    let sum = 0;
    return questions.map((_, at) => (sum += 1 / (at + 1) ** config.zipf));
});
const phases = phasesOf(config.shape, config.rate, config.seconds);

function draw() {
    const wanted = Math.random() * weights[weights.length - 1];
    let low = 0, high = weights.length - 1;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (weights[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return questions[low];
}

/** Gates, and what is told without being judged: k6 keeps a part of a metric only where a threshold names it. */
function thresholds() {
    const found = { query_errors: [`rate<=${config.maxErrors}`] };
    for (const phase of phases) {
        const judged = phase.gated && !config.generates;
        found[`query_duration{phase:${phase.name}}`] = [judged ? `p(95)<=${config.p95}` : 'max>=0'];
        found[`query_errors{phase:${phase.name}}`] = [phase.gated ? `rate<=${config.maxErrors}` : 'rate>=0'];
        found[`queries{phase:${phase.name}}`] = ['count>=0'];
        found[`first_token{phase:${phase.name}}`] = ['max>=0'];
        found[`tokens_per_second{phase:${phase.name}}`] = ['max>=0'];
        found[`tokens{phase:${phase.name}}`] = ['count>=0'];
    }
    if (!config.generates && config.shape !== 'crowd') {
        const hold = phases.find((phase) => phase.name === 'hold');
        found['queries{phase:hold}'] = [`count>=${Math.floor(config.minRate * hold.seconds)}`];
    }
    if (phases.some((phase) => !phase.gated)) { // beyond what it must bear, a server may turn away
        found.query_errors = ['rate>=0'];
    }
    if (!config.generates && ['search', 'ask', 'mix'].includes(config.traffic)) {
        found.query_hits = [`rate>=${config.minHits}`];
    }
    return found;
}

export const options = {
    scenarios: scenariosOf(config.shape, phases, config.rate, config.askers),
    thresholds: thresholds(),
    summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max', 'count'],
    setupTimeout: '30s',
    userAgent: 'tars-load',
};

export function setup() {
    if (__ENV.TARS_TOKEN || !(__ENV.TARS_CLIENT_ID || config.traffic === 'chat' || config.traffic === 'mix')) {
        return { token: __ENV.TARS_TOKEN || '', began_ms: Date.now() };
    }
    const body = { client_id: __ENV.TARS_CLIENT_ID || 'load' };
    if (__ENV.TARS_CLIENT_SECRET) {
        body.client_secret = __ENV.TARS_CLIENT_SECRET;
    }
    const reply = http.post(`${config.url}/auth/token`, JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } });
    if (reply.status !== 200) {
        throw new Error(`no token from ${config.url}: ${reply.status ? `${reply.status} ${reply.body}` : reply.error}`);
    }
    return { token: reply.json('access_token'), began_ms: Date.now() };
}

export default function (data) {
    const traffic = kindOf(config.traffic);
    const phase = config.shape === 'crowd' ? exec.scenario.name : phaseAt(phases, exec.instance.currentTestRunDuration);
    kinds[traffic]({ ...config, traffic, phase, token: data.token }, draw());
}

function gatesOf(data) {
    const gates = [];
    for (const [name, metric] of Object.entries(data.metrics)) {
        for (const [expression, result] of Object.entries(metric.thresholds || {})) {
            if (!/>=0$/.test(expression)) {
                const value = metric.values[expression.split(/[<>]=/)[0]];
                const nothing = (metric.values.count ?? metric.values.passes + metric.values.fails) === 0;
                gates.push({ metric: name, expression, value, ok: result.ok, nothing });
            }
        }
    }
    return gates;
}

function valuesOf(data) {
    const found = {};
    for (const [name, metric] of Object.entries(data.metrics)) {
        if (/^(quer|first_token|tokens|dropped_iterations|iterations|http_reqs|vus_max)/.test(name)) {
            found[name] = metric.values;
        }
    }
    return found;
}

const round = (value) => (Number.isFinite(value) ? Math.round(value * 100) / 100 : 0);

function words(summary) {
    const lines = [`${summary.shape}, ${summary.traffic}: ${summary.seconds} s, ${summary.questions} questions`];
    for (const phase of summary.phases) {
        const time = summary.metrics[`query_duration{phase:${phase.name}}`] || {};
        const errors = summary.metrics[`query_errors{phase:${phase.name}}`] || {};
        const first = summary.metrics[`first_token{phase:${phase.name}}`] || {};
        const speed = summary.metrics[`tokens_per_second{phase:${phase.name}}`] || {};
        lines.push(`  ${phase.name.padEnd(6)} ${round(time.count / phase.seconds)}/s  P50 ${round(time.med)} ms  P95 ${round(time['p(95)'])} ms` +
            `  P99 ${round(time['p(99)'])} ms  errors ${round(errors.rate * 100)} %` +
            (first.count ? `  first token ${round(first.med)} ms (P95 ${round(first['p(95)'])})` : '') +
            (speed.count ? `  ${round(speed.med)} tokens/s an answer` : ''));
    }
    if (summary.queueing_ms !== undefined) {
        lines.push(`  queueing: ${round(summary.queueing_ms)} ms before the first token, ${summary.askers} askers`);
    }
    for (const gate of summary.gates) {
        lines.push(`  ${gate.ok ? 'met   ' : 'MISSED'} ${gate.metric} ${gate.expression} (${gate.nothing ? 'nothing was measured' : round(gate.value)})`);
    }
    return `${lines.join('\n')}\n`;
}

export function handleSummary(data) {
    const summary = {
        ...config, questions: questions.length, phases, test_ms: data.state.testRunDurationMs, began_ms: (data.setup_data || {}).began_ms, metrics: valuesOf(data), gates: gatesOf(data),
    };
    const first = (name) => (summary.metrics[`first_token{phase:${name}}`] || {}).med;
    if (config.shape === 'crowd' && first('alone') !== undefined && first('crowd') !== undefined) {
        summary.queueing_ms = first('crowd') - first('alone');
    }
    const files = { stdout: words(summary) };
    if (__ENV.SUMMARY) {
        files[__ENV.SUMMARY] = JSON.stringify(summary);
    }
    return files;
}

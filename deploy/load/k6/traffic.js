// What is asked, and what is read off the replies. Bodies are searched as text where that is enough: parsing JSON of each
// reply would take more processor time than the server that is tested.
import http from 'k6/http';
import { WebSocket } from 'k6/websockets';
import { Counter, Rate, Trend } from 'k6/metrics';

export const metrics = {
    queries: new Counter('queries'), // answered, well or not
    duration: new Trend('query_duration', true),
    errors: new Rate('query_errors'),
    hits: new Rate('query_hits'), // of searches and questions that found something: the cache had it
    firstToken: new Trend('first_token', true),
    tokensPerSecond: new Trend('tokens_per_second'), // of one answer, from its first token to its end
    tokens: new Counter('tokens'),
};

const TIMEOUT = 120000;

function headers(context) {
    const found = { 'Content-Type': 'application/json' };
    if (context.token) {
        found.Authorization = `Bearer ${context.token}`;
    }
    return found;
}

function post(context, path, asked) {
    return http.post(context.url + path, JSON.stringify(asked), {
        headers: headers(context), tags: { name: path, phase: context.phase, traffic: context.traffic }, timeout: TIMEOUT,
    });
}

function body(context, question) {
    const made = { query: question, top_k: context.topK };
    if (context.threshold >= 0) {
        made.relevance_threshold = context.threshold;
    }
    return made;
}

function finish(context, ms, good) {
    const tags = { phase: context.phase, traffic: context.traffic };
    metrics.queries.add(1, tags);
    metrics.duration.add(ms, tags);
    metrics.errors.add(!good, tags);
}

/** A 503 or 429 is an error, too: whoever asked got no answer. */
function one(context, path, asked, part, nothing) {
    const reply = post(context, path, asked);
    const good = reply.status === 200 && typeof reply.body === 'string' && reply.body.includes(part);
    finish(context, reply.timings.duration, good);
    if (good && !reply.body.includes(nothing)) {
        metrics.hits.add(reply.body.includes('"cached":true'), { phase: context.phase, traffic: context.traffic });
    }
}

function search(context, question) {
    one(context, '/rag/search', body(context, question), '"results":[', '"results":[]');
}

function ask(context, question) {
    one(context, '/rag/query', body(context, question), '"answer":"', '"relevance_scores":[]');
}

/** Seconds of the day of a line's time: times of one server are only ever compared with each other. */
function secondsOf(timestamp) {
    const parts = /T(\d+):(\d+):(\d+(?:\.\d+)?)/.exec(timestamp);
    return parts ? parts[1] * 3600 + parts[2] * 60 + parseFloat(parts[3]) : NaN;
}

function between(earlier, later) {
    const seconds = secondsOf(later) - secondsOf(earlier);
    return (seconds < -43200 ? seconds + 86400 : seconds) * 1000;
}

function told(context, firstToken, tokens, writing) {
    const tags = { phase: context.phase, traffic: context.traffic };
    metrics.firstToken.add(firstToken, tags);
    metrics.tokens.add(tokens, tags);
    if (context.generates && tokens > 1 && writing > 0) {
        metrics.tokensPerSecond.add((tokens - 1) / (writing / 1000), tags);
    }
}

/** k6 sees a stream when it is whole; when its first token came is told by its lines, counted from the first of them. */
function stream(context, question) {
    const reply = post(context, '/rag/query/stream', body(context, question));
    let good = false;
    if (reply.status === 200) {
        const lines = reply.body.split('\n').filter((line) => line.length > 0).map((line) => JSON.parse(line));
        const tokens = lines.filter((line) => line.type === 'rag_token');
        const last = lines[lines.length - 1];
        good = last !== undefined && last.type === 'rag_complete';
        if (good && tokens.length > 0) {
            told(context, reply.timings.waiting + between(lines[0].timestamp, tokens[0].timestamp), tokens.length,
                between(tokens[0].timestamp, last.timestamp));
        }
    }
    finish(context, reply.timings.duration, good);
}

/** One socket, one question: from sending it to its end. The handshake is not counted, but may fail it. */
function chat(context, question) {
    const protocols = context.token ? ['bearer', context.token] : null;
    const socket = new WebSocket(`${context.url.replace(/^http/, 'ws')}/ws/chat`, protocols, { tags: { phase: context.phase, traffic: context.traffic } });
    let sent = Date.now(), first = 0, tokens = 0, over = false;
    const end = (good) => {
        if (!over) {
            over = true;
            clearTimeout(timer);
            finish(context, Date.now() - sent, good);
            socket.close();
        }
    };
    const timer = setTimeout(() => end(false), TIMEOUT);
    const hear = {
        connection_ack: () => {
            sent = Date.now();
            socket.send(JSON.stringify({ type: 'chat', content: question, use_rag: true, rag_top_k: context.topK,
                rag_threshold: context.threshold > 0 ? context.threshold : null }));
        },
        rag_token: () => {
            first = first || Date.now();
            tokens += 1;
        },
        rag_complete: () => {
            if (tokens > 0) {
                told(context, first - sent, tokens, Date.now() - first);
            }
            end(true);
        },
        error: () => end(false),
    };
    socket.addEventListener('message', (message) => {
        const heard = JSON.parse(message.data);
        if (!over && hear[heard.type]) {
            hear[heard.type]();
        }
    });
    socket.addEventListener('error', () => end(false));
    socket.addEventListener('close', () => end(false));
}

export const kinds = { search, ask, stream, chat };

/** mix: of ten, five searches, three questions, one stream and one chat. */
export function kindOf(traffic) {
    if (traffic !== 'mix') {
        return traffic;
    }
    const drawn = Math.random() * 10;
    return drawn < 5 ? 'search' : drawn < 8 ? 'ask' : drawn < 9 ? 'stream' : 'chat';
}

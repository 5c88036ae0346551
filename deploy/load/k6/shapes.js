// How load comes: a shape is a list of phases, each {name, seconds, from, to, gated}. Rates are requests that begin in a
// second, however long others take, as people do who know nothing of each other. `rate` is what the server must bear:
// every gate holds up to it; what `stress` asks beyond is told and not judged, but for the calm afterwards.
//
// `crowd` is of another kind: so many askers, each with the next question when it has its answer. It is for answers that
// a language model writes: one asker alone, then all; the difference of their times to the first token is the queue.

function step(name, seconds, from, to, gated = true) {
    return { name, seconds: Math.max(1, Math.round(seconds)), from: Math.max(1, Math.round(from)), to: Math.max(1, Math.round(to)), gated };
}

const shapes = {
    ramp: (rate, s) => [step('rise', s / 2, 1, rate), step('hold', s, rate, rate), step('fall', s / 4, rate, 1)],
    soak: (rate, s) => [step('rise', Math.min(s / 10, 60), rate / 4, rate), step('hold', s, rate, rate)],
    spike: (rate, s) => [
        step('calm', s / 2, rate / 4, rate / 4), step('jump', 1, rate / 4, rate), step('hold', s, rate, rate),
        step('drop', 1, rate, rate / 4), step('after', s / 2, rate / 4, rate / 4),
    ],
    stress: (rate, s) => {
        const phases = [step('half', s / 2, rate / 2, rate / 2), step('hold', s, rate, rate)];
        for (const times of [1.5, 2, 3, 4]) {
            phases.push(step(`x${times}`, s / 2, rate * times, rate * times, false));
        }
        return [...phases, step('rest', 2, 1, 1, false), step('after', s / 2, rate / 4, rate / 4)];
    },
};

/** The phases of a shape, each with the second at which it begins. */
export function phasesOf(name, rate, seconds) {
    if (name === 'crowd') {
        return [{ name: 'alone', seconds, from: 0, to: 0, gated: true, begin: 0 },
            { name: 'crowd', seconds, from: 0, to: 0, gated: true, begin: seconds + 1 }];
    }
    if (!shapes[name]) {
        throw new Error(`SHAPE=${name}: it must be one of ${Object.keys(shapes).join(', ')}, crowd`);
    }
    let begin = 0;
    return shapes[name](rate, seconds).map((phase) => {
        const placed = { ...phase, begin };
        begin += phase.seconds;
        return placed;
    });
}

/** The same as k6's scenarios. */
export function scenariosOf(name, phases, rate, askers) {
    if (name === 'crowd') {
        return Object.fromEntries(phases.map((phase) => [phase.name, {
            executor: 'constant-vus', vus: phase.name === 'alone' ? 1 : askers, duration: `${phase.seconds}s`,
            startTime: `${phase.begin}s`, gracefulStop: '120s',
        }]));
    }
    // A stage goes from what was to its target; where a phase begins elsewhere, a stage of no length leads there.
    const stages = [];
    let at = phases[0].from;
    for (const phase of phases) {
        if (phase.from !== at) {
            stages.push({ target: phase.from, duration: '0s' });
        }
        stages.push({ target: phase.to, duration: `${phase.seconds}s` });
        at = phase.to;
    }
    return {
        load: {
            executor: 'ramping-arrival-rate', startRate: phases[0].from, timeUnit: '1s', stages,
            preAllocatedVUs: Math.min(askers, 50), maxVUs: askers, gracefulStop: '30s',
        },
    };
}

/** The phase of so many milliseconds after the start. */
export function phaseAt(phases, ms) {
    let found = phases[0];
    for (const phase of phases) {
        if (ms >= phase.begin * 1000) {
            found = phase;
        }
    }
    return found.name;
}

import { createMetric, metricNames, metrics } from './metrics.js';
import type { Group } from './reference.js';

describe('createMetric', () => {
  it.each(metricNames)('gives %s of right answers as 1', (name) => {
    const metric = createMetric(name);
    metric.add('blue', { golds: ['blue'] });
    expect(metric.finish()).toMatchObject({ score: 1, rows: 1 });
  });

  it('averages over rows', () => {
    const metric = createMetric('anls');
    metric.add('abcd', { golds: ['abcd'], group: { split: 'a' } });
    metric.add('abcx', { golds: ['abcd'], group: { split: 'b' } });
    metric.add('wxyz', { golds: ['abcd'], group: { split: 'b' } });
    expect(metric.finish()).toEqual({ score: 1.75 / 3, rows: 3, details: [] });
  });

  it('averages relaxed accuracy over splits of different sizes alike', () => {
    const metric = createMetric('relaxed-accuracy');
    metric.add('1', { golds: ['1'], group: { split: 'human' } });
    for (const answer of ['1', '2', '2', '2'])
      metric.add(answer, { golds: ['1'], group: { split: 'augmented' } });
    expect(metric.finish()).toEqual({
      score: 0.625,
      rows: 5,
      details: [
        { name: 'split=human', score: 1, rows: 1 },
        { name: 'split=augmented', score: 0.25, rows: 4 },
      ],
    });
  });

  it('averages choices over languages within types of questions, then over types', () => {
    const metric = createMetric('choice');
    const add = (answer: string, group: Group) =>
      metric.add(answer, { golds: ['1'], options: ['x', 'y'], group });
    add('1', { questionType: '1', language: 'en' });
    add('1', { questionType: '1', language: 'en' });
    add('2', { questionType: '1', language: 'id' });
    add('1', { questionType: '2', language: 'en' });
    expect(metric.finish()).toEqual({
      score: 0.75,
      rows: 4,
      details: [
        { name: 'questionType=1', score: 0.5, rows: 3 },
        { name: 'questionType=1 language=en', score: 1, rows: 2 },
        { name: 'questionType=1 language=id', score: 0, rows: 1 },
        { name: 'questionType=2', score: 1, rows: 1 },
        { name: 'questionType=2 language=en', score: 1, rows: 1 },
      ],
    });
  });

  it('leaves out a group that no row names, and keeps rows that do not name it apart', () => {
    const metric = createMetric('choice');
    metric.add('x', { golds: ['x'], group: { language: 'en' } });
    metric.add('y', { golds: ['x'] });
    expect(metric.finish().details).toEqual([
      { name: 'language=en', score: 1, rows: 1 },
      { name: 'language=(none)', score: 0, rows: 1 },
    ]);
  });

  it('has exact match as the score of squad and F1 beside it', () => {
    const metric = createMetric('squad');
    metric.add('the cat', { golds: ['cat'] });
    metric.add('cat sat', { golds: ['cat sat down', 'dog'] });
    const { score, details } = metric.finish();
    expect(score).toBe(0.5);
    expect(details).toEqual([{ name: 'f1', score: expect.closeTo(0.9, 12), rows: 2 }]);
  });

  it('refuses to average nothing, and answers without golds', () => {
    const metric = createMetric('vqa');
    expect(() => metric.finish()).toThrow('vqa: 0 rows were scored, at least 1 is needed');
    expect(() => metric.add('x', { golds: [] })).toThrow(
      expect.objectContaining({ code: 'SCORE_NO_GOLD' }),
    );
  });
});

describe('assertReference', () => {
  it('refuses what no answer can be scored against', () => {
    for (const name of metricNames)
      expect(() => metrics[name].assertReference({ golds: [] })).toThrow(
        expect.objectContaining({ code: 'SCORE_NO_GOLD' }),
      );
    expect(() => metrics.choice.assertReference({ golds: ['0'], options: ['x', 'y'] })).toThrow(
      expect.objectContaining({ code: 'SCORE_INVALID_REFERENCE' }),
    );
  });

  it('leaves options to the metric that has them', () => {
    const reference = { golds: ['z'], options: ['x', 'y'] };
    expect(() => metrics.anls.assertReference(reference)).not.toThrow();
    expect(() => metrics.choice.assertReference({ golds: ['z'] })).not.toThrow();
  });
});

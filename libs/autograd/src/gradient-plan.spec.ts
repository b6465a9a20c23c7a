import { planGradients } from './gradient-plan.js';
import { add } from './operations/add.js';
import { linear } from './operations/linear.js';
import { gatedAdd, modulate } from './operations/modulate.js';
import { ProgramBuilder } from './program.js';

function modulatedProgram() {
  const block = new ProgramBuilder();
  const x = block.input('x', 4, 'rows');
  const [scale, shift, gate] = ['scale', 'shift', 'gate'].map((stream) =>
    block.input(stream, 4, 'samples'),
  ) as [typeof x, typeof x, typeof x];
  const first = linear(block, x, { name: 'first', outFeatures: 4, bias: false });
  const modulated = modulate(block, first, { scale, shift });
  const second = linear(block, modulated, { name: 'second', outFeatures: 4, bias: false });
  const out = gatedAdd(block, x, { x: second, gate });
  return { program: block.build({ out }), first, second };
}

test('what is scaled and gated is kept where the gradients of scale and gate are wanted', () => {
  const { program, first, second } = modulatedProgram();
  const inputs = new Set(['x', 'scale', 'gate']);
  const { kept } = planGradients(program, { adapted: new Set(), inputs });
  expect(kept).toEqual(new Set([first.id, second.id]));
});

test('nothing is kept of a modulation by given vectors', () => {
  const { program } = modulatedProgram();
  const { kept } = planGradients(program, { adapted: new Set(), inputs: new Set(['x']) });
  expect(kept).toEqual(new Set());
});

test('of the last adapted linear a forward again makes what its adapter sees, of the sum nothing', () => {
  const block = new ProgramBuilder();
  const x = block.input('x', 4, 'rows');
  const first = linear(block, x, { name: 'first', outFeatures: 4 });
  const second = linear(block, first, { name: 'second', outFeatures: 4 });
  const program = block.build({ out: add(block, x, second) });
  const againOf = (...adapted: string[]): readonly string[] =>
    planGradients(program, { adapted: new Set(adapted), inputs: new Set(['x']) }).again;
  expect(againOf('first', 'second')).toEqual(['whole', 'auxiliaries', 'nothing']);
  expect(againOf('first')).toEqual(['auxiliaries', 'nothing', 'nothing']);
  expect(againOf()).toEqual(['nothing', 'nothing', 'nothing']);
});

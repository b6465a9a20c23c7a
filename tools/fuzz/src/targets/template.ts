import { mutateText } from '../mutate-text.js';
import type { OpenTarget } from '../target.js';
import { addModel, rows, writeRows } from '../workplace.js';
import { readWith } from './read-rows.js';

const templates = [
  "{% for message in messages %}{{ '<|start|>' + message.role + '\\n' + message.content + '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start|>assistant\\n' }}{% endif %}",
  "{%- macro show(m, n=1) -%}{{ m.content | trim | upper }}{%- endmacro -%}{% set ns = namespace(x=0) %}{% for m in messages if m.role != 'system' %}{% set ns.x = ns.x + 1 %}{{ show(m) ~ loop.index ~ (tools | tojson if tools else '') }}{% generation %}{{ m.content[1:] }}{% endgeneration %}{% endfor %}{{ ns.x // 2 }}",
];

const fragments = [
  '{% for i in range(1000000000) %}',
  '{% endfor %}',
  '{% if x %}',
  '{% endif %}',
  '{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}',
  '{{ messages | tojson }}',
  "{{ 'a' * 10**9 }}",
  '{{ 2**10**9 }}',
  "{{ 'x'.__class__ }}",
  "{{ raise_exception('no \\u001b[2J\\u202e' ~ messages[0].content) }}",
  '{% set ns.s = ns.s ~ ns.s %}',
  '{{ messages[99] }}',
  "{{ '%s' % messages }}",
  "{{ messages | map(attribute='content') | join | length }}",
  '(((((((((((((((((((((((((((((',
  '[[[[[',
  'not ',
  '-',
  '~',
  '| replace("a", "aa")',
  '.split(" ")',
  '"',
  "'",
  '{#',
  '#}',
  '{% raw %}',
  '{{ ' + '('.repeat(5000),
  '{% if a %}'.repeat(500),
  '{{ 9' + '9'.repeat(5000) + ' }}',
];

/** Chat templates. */
export const openTemplateTarget: OpenTarget = async (place) => {
  const model = await addModel(place, 'template');
  const path = await writeRows(
    model,
    rows.map((row) => JSON.stringify(row)),
  );
  return {
    place: /template|rows\.jsonl/,
    run: (dice) => readWith(model, path, mutateText(dice.pick(templates), dice, fragments)),
  };
};

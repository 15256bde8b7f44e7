import { TandemError } from '../../errors.js';
import type { Attribute, Node, Tensor } from '../types.js';
import type { GradientBuilder } from './builder.js';

/** Makes the gradient with respect to one input of a node: same shape and type as that input. */
export type InputGradient = () => string;

/**
 * The derivative of an operator: for each input of the node, how to make its gradient (called only where one is
 * needed), 'zero' where it vanishes everywhere, undefined where there is none.
 */
export type GradientRule = (context: GradientContext) => readonly (InputGradient | 'zero' | undefined)[];

/** What the table says of an operator; 'zero': its derivative is zero wherever it exists, so no gradient passes. */
export type GradientEntry = GradientRule | 'zero' | 'not-differentiable';

/** One node seen from its rule: y = f(x), dy = ∂loss/∂y. Values are names; `b` makes new ones. */
export class GradientContext {
  constructor(
    readonly b: GradientBuilder,
    readonly node: Node,
    /** Gradient of each output; undefined where the loss does not depend on it. */
    readonly dys: readonly (string | undefined)[],
  ) {}

  /** The inputs; '' where an optional one is absent. */
  get x(): readonly string[] {
    return this.node.inputs;
  }

  /** The first output. */
  get y(): string {
    return this.node.outputs[0]!;
  }

  /** Gradient of the first output. */
  get dy(): string {
    return this.dys[0] ?? this.refuse('its first output is not what the loss depends on');
  }

  int(name: string, fallback: number): number {
    return this.#attribute(name, 'int')?.value ?? fallback;
  }

  float(name: string, fallback: number): number {
    return this.#attribute(name, 'float')?.value ?? fallback;
  }

  ints(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'ints')?.value;
  }

  string(name: string, fallback: string): string {
    return this.#attribute(name, 'string')?.value ?? fallback;
  }

  /** Input i as a list of integers if it is an integer constant. */
  constantInts(input: number): number[] | undefined {
    const constant = this.constantInput(input);
    return constant && Array.from(constant.data as ArrayLike<number | bigint>, Number);
  }

  constantInput(input: number): Tensor | undefined {
    return this.b.constantValue(this.x[input] ?? '');
  }

  has(input: number): boolean {
    return (this.x[input] ?? '') !== '';
  }

  /** The rank of a value, where a rule cannot do without. */
  rank(value: string): number {
    return this.b.shapeIfKnown(value)?.length ?? this.refuse(`the rank of "${value}" is unknown`);
  }

  /** @throws TANDEM_NO_GRADIENT naming the node */
  refuse(reason: string): never {
    throw noGradient(this.node, reason);
  }

  #attribute<K extends Attribute['kind']>(name: string, kind: K): Extract<Attribute, { kind: K }> | undefined {
    const attribute = this.node.attributes[name];
    return attribute?.kind === kind ? (attribute as Extract<Attribute, { kind: K }>) : undefined;
  }
}

export function noGradient(node: Node, reason: string): TandemError {
  return new TandemError('TANDEM_NO_GRADIENT', `${node.opType} has no gradient here: ${reason}.`, {
    place: `node ${node.name}`,
    remedy: 'Give differentiate a rule for this node, or keep the node off the path from the values to the loss.',
  });
}

export { type DifferentiateOptions, defaultGradientName, differentiate } from './differentiate.js';
export type { GradientContext, GradientRule, InputGradient } from './rule.js';

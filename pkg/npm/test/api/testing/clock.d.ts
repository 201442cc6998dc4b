export declare class TestClock {
    #private;
    static at(time: number): TestClock;
    now(): number;
    set(time: number): void;
    advance(seconds: number): void;
    get reader(): () => number;
}

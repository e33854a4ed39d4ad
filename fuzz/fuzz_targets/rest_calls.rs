#![cfg_attr(fuzzing, no_main)]
tim_fuzz::target!(rest_calls);
